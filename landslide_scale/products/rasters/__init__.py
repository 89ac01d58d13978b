"""The cube as cloud-optimised GeoTIFFs, each with a style beside it."""

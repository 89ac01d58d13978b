"""The products as a STAC catalogue of files."""

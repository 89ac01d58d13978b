"""Region-wide landslide mapping with a fine-tuned vision foundation model on a Ray cluster."""

__version__ = "0.1.0"

"""Region-wide landslide mapping with a fine-tuned vision foundation model on a Ray cluster."""

import os

from landslide_scale.runtime.surroundings import settle_libraries

__version__ = "0.1.0"

settle_libraries(os.environ)  # before anything here imports them, in every process

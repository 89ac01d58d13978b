"""What the values of a label mean, in every data set once it is read, and in chips."""

from __future__ import annotations

LANDSLIDE = 1
IGNORE = 255
"""A pixel that takes no part: unobserved, uncertain, or padding."""

"""How often what runs gives a sign of life."""

from __future__ import annotations

EVERY_S = 60.0
"""Between two lines of a run in which nothing ends: ten of them before the default limit."""

"""How many reads over HTTP are at work at once in this process: each has a connection, which stays with its thread."""

from __future__ import annotations

from landslide_scale.reading.threads import Gate

CONNECTIONS = 8
"""Unless a process is told otherwise."""

connections = Gate(CONNECTIONS)

"""What shook the ground: feeds of earthquakes, ShakeMaps to the ground to be looked at, and which events matter.

Imports `reading`, `region` and the vocabulary; asks the network for nothing but what a configuration names. Begin with
`settings.py` and `event.py`, then `feed.py` (what is new), `detail.py` (what is known of one event), `area.py` (where
to look) and `gate.py` (whether). `land.py` says what is land.
"""

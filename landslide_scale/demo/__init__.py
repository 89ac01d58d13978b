"""A small made world: Sentinel-2-like scenes with landslides whose outlines are known, served by a real STAC API.

Everything in it is made from a seed. Nothing in it is satellite data, and no score earned on it says anything about
real ground beyond "the parts work together". Nothing imports this package except the command that runs the demo; it
may import anything but that command. Begin with `run.py`, or with
`rapid_life.py` for an event that is followed; the land is in `ground/`, how it is seen in `satellite/`.
"""

"""What became of ground between two layers: its vegetation, its landslides, and how sure one may be by now.

Arrays in, arrays out: imports the vocabulary and numpy. Begin with `classes.py`, a class for each pixel; `rdndvi.py` is
the witness that needs no network, `joining.py` what both say together, and `ripening.py` the status that grows with
every look.
"""

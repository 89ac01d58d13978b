"""A region-wide scan: survey, plan, read, predict, write, record.

Imports `cube`, `imagery`, `stac`, `model`, `region`, `storage`, `runtime` and the vocabulary; Ray is imported in
`engine.py` alone, which is wiring. Begin with `driver.py`: it is the line card, ground, Items, scenes, plan, run.
"""

"""A region-wide scan: survey, plan, read, predict, write, record.

Imports `cube`, `imagery`, `stac`, `model`, `region`, `storage`, `runtime` and the vocabulary; how units go over a
cluster, or are taken over from an earlier run, is passed in, see `pipeline/`. Begin with `driver.py`: it is the line
card, ground, Items, scenes, plan, run.
"""

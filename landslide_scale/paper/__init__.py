"""The paper's tables: all models trained alike, judged under named protocols, beside the published figures.

Imports `training` and what is below it; Ray is imported in `study.py` alone. Begin with `study.py`.
"""

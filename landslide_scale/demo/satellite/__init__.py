"""How the made land is seen and served: passes, atmosphere, sensor, tiles, Items, a real STAC API.

Imports `demo.ground`, `imagery` and the vocabulary. Begin with `scenes.py`.
"""

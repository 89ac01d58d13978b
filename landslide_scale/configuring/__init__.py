"""Configurations to begin with, and schemas for editors, both made of the models that read configurations.

Names, types, defaults and limits are the models' own, meanings the ``Attributes:`` of their docstrings, so that each is
stated once. Begin with `kinds.py`.
"""

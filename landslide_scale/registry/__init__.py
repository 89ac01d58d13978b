"""Checkpoints by name: what is known of each, where it is said, and a file of it on this machine.

Imports `storage` and the vocabulary, and no network: a checkpoint's own card is read in `model`. Begin with
`settings.py`, then `entries.py`.
"""

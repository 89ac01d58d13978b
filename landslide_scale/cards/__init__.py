"""What a checkpoint says of itself, read without torch: its card, the head of its file, and whether it suits images.

Begin with `card.py`. The tensors beside a card are `model/checkpoint.py`'s.
"""

"""The keys of a configuration, as its model has them: what they mean, how they are written, what a wrong one was to be.

Works on any pydantic model and its JSON schema, and knows no configuration. Names, types, defaults and limits are the
model's own, meanings the ``Attributes:`` of its docstrings, so that each is stated once. Begin with `schema.py`.
"""

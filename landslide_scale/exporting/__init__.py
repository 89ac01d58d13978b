"""All products of a run: made in order, each whole or not at all, and gone on with."""

"""What is published of an event: version after version, what analysts said of them, and who is told.

Imports `exporting` and what is below it. Begin with `version.py`: what a version is and how it differs from the last;
`publishing.py` makes one public so that it can be killed anywhere, `verdicts.py` brings in what an analyst filled in,
`monty.py` says a version in the vocabulary of emergency services, and `hooks.py` tells others of it.
"""

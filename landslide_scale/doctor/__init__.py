"""What a machine and an installation are fit for: one screen that a report of a fault can carry.

Libraries are imported where they are asked about, for what is broken is to be said and not to end the saying. Nothing
is written, no secret is said, and nothing outside this machine is asked unless it is named. Begin with
`examination.py`.
"""

"""What a scan takes and costs: measured of one that has ended, foreseen of one that is planned; `took.py` first."""

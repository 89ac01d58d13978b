"""What tests of several rooms share: made scenes, elevations and masks, servers on loopback, scans that are watched."""

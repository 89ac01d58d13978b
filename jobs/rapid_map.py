"""Rapid mapping: ray job submit --working-dir . -- python jobs/rapid_map.py --config FILE --once (or --watch, ...)."""

import typer

from landslide_scale.cli.rapid import rapid

if __name__ == "__main__":
    typer.run(rapid)

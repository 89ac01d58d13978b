"""Region-wide scan: ray job submit --working-dir . -- python jobs/scan_region.py --config FILE [--resume]."""

import typer

from landslide_scale.cli.scanning import scan

if __name__ == "__main__":
    typer.run(scan)

"""Products of a scan: ray job submit --working-dir . -- python jobs/export.py RUN_DIR [--to URL] [--only KINDS]."""

import typer

from landslide_scale.cli.products import export

if __name__ == "__main__":
    typer.run(export)

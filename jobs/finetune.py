"""Fine-tuning: ray job submit --working-dir . -- python jobs/finetune.py --config FILE [--resume]."""

import typer

from landslide_scale.cli.training import finetune

if __name__ == "__main__":
    typer.run(finetune)

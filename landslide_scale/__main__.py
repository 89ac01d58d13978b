"""`python -m landslide_scale` is `landslide-scale`."""

from landslide_scale.cli import main

main()

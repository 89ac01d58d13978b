"""What the command says of itself, as it is installed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from landslide_scale.cli import app

COMMAND = Path(sys.executable).with_name("landslide-scale")


def test_the_version_is_the_installed_one_and_costs_no_library():
    done = subprocess.run([COMMAND, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"landslide-scale {version('landslide-scale')}\n"
    assert done.stderr == ""


@pytest.mark.parametrize("module", ["torch", "ray", "landslide_scale.commands"])
def test_help_does_not_wait_for_libraries(module: str):
    script = (
        "import sys\nfrom typer.testing import CliRunner\nfrom landslide_scale.cli import app\n"
        f"assert CliRunner().invoke(app, ['--help']).exit_code == 0\nassert {module!r} not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "at", "expected"),
    [
        ("landslide-scale pl", 1, {"plan"}),
        ("landslide-scale init ", 2, {"scan", "chips", "finetune", "benchmark", "rapid"}),
        ("landslide-scale doctor --", 2, {"--s3", "--catalog", "--ray", "--json", "--help"}),
    ],
)
def test_a_shell_completes_commands_kinds_and_options(words: str, at: int, expected: set[str]):
    asked = {"_LANDSLIDE_SCALE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(at)}
    done = subprocess.run([COMMAND], env=os.environ | asked, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == expected


@pytest.mark.parametrize("command", [[str(COMMAND)], [sys.executable, "-m", "landslide_scale"]])
def test_the_completion_that_is_shown_is_of_the_command(command: list[str]):
    # Typed in a shell, for it is the shell above it that the command is asked to complete for.
    typed = f"{shlex.join([*command, '--show-completion'])}; exit $?"
    done = subprocess.run(["bash", "-c", typed], capture_output=True, text=True, check=True)
    assert "_LANDSLIDE_SCALE_COMPLETE=complete_bash" in done.stdout
    assert re.search(r"complete .* landslide-scale$", done.stdout, re.MULTILINE)


def test_every_command_says_what_it_does():
    said = CliRunner().invoke(app, ["--help"]).output
    for command in ("plan", "scan", "init", "schema", "doctor", "demo"):
        assert re.search(rf"\b{command} +[A-Z]", said), command

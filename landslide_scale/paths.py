"""Paths and URLs as people write them: one rule for every key of a configuration and every argument that is one.

``~`` and ``~NAME`` at the beginning are home folders; ``$NAME`` and ``${NAME}`` are environment variables, which must
be set; ``${NAME:-INSTEAD}`` has a value where it is not; ``$$`` is a dollar. Relative paths are relative to the working
directory. A ``file://`` URL has three slashes and is not percent-encoded. Values of variables are in no message.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from landslide_scale.errors import InvalidConfigError

LONGEST_NAME = 255
"""Bytes of one name in a folder."""

LONGEST_PATH = 3800
"""Bytes of a local path: Linux takes 4095, and what a run writes is below it."""

LONGEST_KEY = 900
"""Bytes of a name in an object store: S3 takes 1024, and what a run writes is below it."""

JOB_MARK = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""What Ray puts into the environment of a submitted job's entry point."""

NODE_MARK = ".landslide-scale-"
"""How the name begins of a file by which machines are asked whether they see a folder; a kill may leave one."""

SHARED = "s3://BUCKET/FOLDER, or the full path of a folder that every node has"

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_DOLLAR = re.compile(rf"\$(?:(?P<dollar>\$)|(?P<plain>{_NAME})|\{{(?P<braced>{_NAME})(?P<default>:-[^{{}}$]*)?\}})?")
_SECRET = re.compile(r"secret|token|passw|credential|private_key|api_?key", re.IGNORECASE)
_ONE_SLASH = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/(?!/)")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_CHAIN = "::"


def expanded(text: str, environment: Mapping[str, str] | None = None) -> str:
    """A path or URL with home folders and variables put in; a ``file://`` URL stays one.

    Args:
        text: As written.
        environment: Of variables; by default this process's.

    Raises:
        InvalidConfigError: A variable is not set, or it can be no path.
    """
    known = os.environ if environment is None else environment
    path = _DOLLAR.sub(lambda found: _value(found, known), _at_home(text))
    _check_form(text, path)
    return path


def output_place(text: str) -> str:
    """As :func:`expanded`, of what is written to, without a slash at its end.

    Raises:
        InvalidConfigError: Also where it is a chain of file systems, or a relative path in a submitted job, whose
            working directory is a temporary copy.
    """
    path = expanded(text)
    if _CHAIN in path:
        raise InvalidConfigError(
            text, expected="a path or URL without ::, which readers of cubes take for several file systems"
        )
    if in_submitted_job() and is_relative(path):
        raise InvalidConfigError(
            f"{text}, in a submitted job",
            expected=SHARED,
            cure="A relative path would lie in Ray's temporary copy of the working directory, and go with it.",
        )
    return path.rstrip("/") or "/"


def input_place(text: str) -> str:
    """As :func:`expanded`, of what is read.

    Raises:
        InvalidConfigError: Also where it is a relative path that did not travel with a submitted job.
    """
    path = expanded(text)
    if in_submitted_job() and is_relative(path) and "*" not in path and not Path(path).exists():
        raise InvalidConfigError(
            f"{text}, which is not in the folder that was submitted with the job",
            expected=SHARED,
            cure="With --working-dir travels what is in that folder, but for what its .gitignore names, as runs/.",
        )
    return path


def is_relative(path: str) -> bool:
    """Whether it is a local path from the working directory."""
    return not (_URL.match(path) or _CHAIN in path or path.startswith("/"))


def for_workers(path: str) -> str:
    """The same file as another process finds it, whose working directory may be another; a job's is the job's."""
    return str(Path(path).absolute()) if is_relative(path) and not in_submitted_job() else path


def in_submitted_job() -> bool:
    """Whether this process was begun by ``ray job submit``, or by one that was."""
    return JOB_MARK in os.environ


def _at_home(text: str) -> str:
    if not text.startswith("~"):
        return text
    home = os.path.expanduser(text)  # noqa: PTH111 pathlib would change the rest of the text
    if home.startswith("~"):
        name = text.partition("/")[0]
        raise InvalidConfigError(
            text, expected=f"a user whose home folder is {name}", cure=f"A folder of that name is ./{name}."
        )
    return home


def _value(found: re.Match[str], environment: Mapping[str, str]) -> str:
    """What stands for a dollar and what follows it."""
    if found["dollar"]:
        return "$"
    name = found["plain"] or found["braced"]
    if name is None:
        raise InvalidConfigError(
            found.string, expected="$NAME, ${NAME} or ${NAME:-INSTEAD}", cure="A dollar itself is written $$."
        )
    if _SECRET.search(name):
        raise InvalidConfigError(
            found.string,
            expected=f"no secret in a path, as ${name} seems to be",
            cure="Paths are recorded and said: name the variable otherwise if it holds none.",
        )
    if value := environment.get(name, ""):
        return value
    if found["default"] is not None:
        return found["default"].removeprefix(":-")
    raise InvalidConfigError(
        found.string,
        expected="environment variables that are set",
        cure=f"Set {name}, or write the path; a dollar itself is written $$.",
    )


def _check_form(text: str, path: str) -> None:
    """What no store, or not all that this package reads and writes with, takes for the same name."""
    if not path.strip():
        raise InvalidConfigError(repr(text), expected="a path or URL")
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in path):
        raise InvalidConfigError(text, expected="names without line breaks and control characters")
    if slash := _ONE_SLASH.match(path):
        kind = slash[1]
        full = "file:///FULL/PATH, or the path alone" if kind == "file" else f"{kind}://"
        raise InvalidConfigError(text, expected=full, cure=f"A folder of that name is ./{kind}:")
    if _CHAIN in path and "://" in path:
        return  # fsspec's own way to say where something is read
    url = _URL.match(path)
    if url is None:
        _check_local(text, path)
    elif url[1] == "file":
        _check_file_url(text, url[2])
    else:
        _check_remote(text, re.split(r"[?#]", url[2])[0] if url[1] in {"http", "https"} else url[2])


def _check_file_url(text: str, path: str) -> None:
    if not path.startswith("/") or path.startswith("//"):
        raise InvalidConfigError(text, expected="file:///FULL/PATH, with three slashes, or the path alone")
    if _ENCODED.search(path):
        raise InvalidConfigError(
            text, expected="a file:// URL without %", cure="Write the path alone, as it is: nothing is decoded."
        )
    _check_local(text, path)


def _check_local(text: str, path: str) -> None:
    longest = max(len(os.fsencode(name)) for name in path.split("/"))
    if longest > LONGEST_NAME or len(os.fsencode(path)) > LONGEST_PATH:
        raise InvalidConfigError(
            f"{text[:80]}...", expected=f"names of at most {LONGEST_NAME} bytes, {LONGEST_PATH} together"
        )


def _check_remote(text: str, path: str) -> None:
    bucket, *names = path.rstrip("/").split("/")
    if not bucket:
        raise InvalidConfigError(text, expected="the name of a bucket or host after ://")
    if any(name in {"", ".", ".."} for name in names):
        raise InvalidConfigError(text, expected="a URL without empty names, . and ..")
    if len("/".join(names).encode()) > LONGEST_KEY:
        raise InvalidConfigError(f"{text[:80]}...", expected=f"at most {LONGEST_KEY} bytes in a bucket")

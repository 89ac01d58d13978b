from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import fsspec
import pytest
import torch

from landslide_scale.errors import InvalidCheckpointError, StorageAwayError
from landslide_scale.model import load_base
from landslide_scale.redaction import redacted
from landslide_scale.storage import cache
from landslide_scale.storage.files import file_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@pytest.fixture
def saved(tmp_path: Path, tiny_base: Mapping[str, torch.Tensor]):
    path = tmp_path / "sam.pth"
    torch.save(tiny_base, path)
    return path


class Harmful:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("harm",)


def test_official_format_loads_and_matches_its_sha256(saved: Path, tiny_base: Mapping[str, torch.Tensor]):
    for url in (str(saved), saved.as_uri()):
        loaded = load_base(url, file_sha256(saved).upper())
        assert loaded.keys() == tiny_base.keys()
        assert all(torch.equal(tensor, tiny_base[name]) for name, tensor in loaded.items())


def test_other_sha256_is_refused_with_both(saved: Path):
    with pytest.raises(InvalidCheckpointError) as refusal:
        load_base(str(saved), "0" * 64)
    assert file_sha256(saved) in refusal.value.found
    assert refusal.value.expected == "0" * 64
    assert refusal.value.where == {"file": str(saved)}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({"model": {"image_encoder.pos_embed": torch.zeros(1)}}, "no state dict of SAM"),
        ({"image_encoder.pos_embed": 1.0}, "no state dict of SAM"),
        ([torch.zeros(1)], "list that is no state dict"),
        ({}, "no state dict of SAM"),
        (Harmful(), "no PyTorch file of plain tensors"),
    ],
    ids=["nested", "no tensors", "list", "empty", "code"],
)
def test_anything_but_a_flat_state_dict_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: object, complaint: str
):
    monkeypatch.chdir(tmp_path)
    torch.save(content, "other.pth")
    with pytest.raises(InvalidCheckpointError, match=complaint):
        load_base("other.pth", None)
    assert [path.name for path in tmp_path.iterdir()] == ["other.pth"]


@pytest.mark.parametrize("keep", [0, 10, 5000])
def test_truncated_file_is_refused(saved: Path, keep: int):
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(InvalidCheckpointError, match="no PyTorch file"):
        load_base(str(saved), None)


def test_missing_file_and_unknown_protocol_are_refused(tmp_path: Path):
    with pytest.raises(InvalidCheckpointError):
        load_base(str(tmp_path / "none.pth"), None)
    with pytest.raises(InvalidCheckpointError, match="cannot be read"):
        load_base("nosuch://host/sam.pth", None, tmp_path)


def test_remote_weights_are_fetched_once(saved: Path, tmp_path: Path, tiny_base: Mapping[str, torch.Tensor]):
    memory, cache = fsspec.filesystem("memory"), tmp_path / "cache"
    memory.pipe_file("/weights/sam.pth", saved.read_bytes())
    load_base("memory://weights/sam.pth", file_sha256(saved), cache)
    memory.rm("/weights/sam.pth")
    again = load_base("memory://weights/sam.pth", file_sha256(saved), cache)
    assert again.keys() == tiny_base.keys()
    assert [path.name for path in cache.iterdir() if path.is_file()] == [f"{file_sha256(saved)}.pth"]


def test_wrong_download_is_not_kept(saved: Path, tmp_path: Path):
    memory, cache = fsspec.filesystem("memory"), tmp_path / "cache"
    memory.pipe_file("/weights/other.pth", b"not these")
    for content in (b"not these", saved.read_bytes()):
        memory.pipe_file("/weights/other.pth", content)
        if content == b"not these":
            with pytest.raises(InvalidCheckpointError, match="SHA-256"):
                load_base("memory://weights/other.pth", file_sha256(saved), cache)
        else:
            load_base("memory://weights/other.pth", file_sha256(saved), cache)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pass@host/sam.pth?X-Signature=abc#top", "https://host/sam.pth"),
        ("s3://bucket/a/sam.pth", "s3://bucket/a/sam.pth"),
        ("/data/what?/me@home.pth", "/data/what?/me@home.pth"),
    ],
)
def test_redaction_keeps_the_place_and_drops_the_keys(url: str, shown: str):
    assert redacted(url) == shown


def test_weights_that_cannot_be_reached_are_away_and_said_with_the_key_that_takes_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cache, "WRITER_S", 0.0)
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StorageAwayError) as refusal:
            load_base(f"http://{host}/sam.pth", "0" * 64, tmp_path)
    said = str(refusal.value)
    assert f"the connection to {host} failed (Connection refused)" in said
    assert said.endswith("or give a file on this machine. base_weights takes a path too.")


def test_messages_hold_no_keys(tmp_path: Path):
    with pytest.raises(InvalidCheckpointError) as refusal:
        load_base("nosuch://me:secret@host/sam.pth?sig=secret", None, tmp_path)
    assert "secret" not in str(refusal.value)

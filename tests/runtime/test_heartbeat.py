from __future__ import annotations

import queue

import pytest

from landslide_scale.runtime import heartbeat
from landslide_scale.runtime.heartbeat import patiently


def test_what_is_there_is_given_at_once_and_nothing_is_said():
    items: queue.Queue[int] = queue.Queue()
    items.put(7)
    said: list[float] = []
    assert patiently(items, limit_s=60, silent=said.append) == 7
    assert said == []


def test_signs_of_life_come_until_the_limit_and_then_the_wait_ends(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.02)
    said: list[float] = []
    with pytest.raises(TimeoutError):
        patiently(queue.Queue[int](), limit_s=0.2, silent=said.append)
    assert len(said) > 1
    assert sorted(said) == said
    assert max(said) < 0.2


def test_what_comes_after_a_silence_is_given(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.01)
    items: queue.Queue[int] = queue.Queue()
    assert patiently(items, limit_s=60, silent=lambda _: items.put(7)) == 7

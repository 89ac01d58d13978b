from __future__ import annotations

import pytest

from landslide_scale.reading import attempts


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between attempts are as good as none."""
    monkeypatch.setattr(attempts, "FIRST_WAIT_S", 0.001)

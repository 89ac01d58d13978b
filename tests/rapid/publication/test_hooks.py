"""Who is told of versions: by a real server that fails first, and by real programs."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from helpers.publishing import UNSEEN, Made, made_of, published
from helpers.webserver import Answer, Asked, site

from landslide_scale.rapid.publication.hooks import (
    DELIVERED,
    FAILED,
    GIVEN_UP,
    TOLD,
    Command,
    Herald,
    Outcome,
    Webhook,
    tell_all,
    told,
)
from landslide_scale.rapid.publication.settings import CommandConfig, WebhookConfig
from landslide_scale.rapid.publication.version import RESPONSE
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

FIRST, SECOND = Made(of=made_of(0, cube_sha256=""), figures=UNSEEN), Made(of=made_of(1))
SECRET = "hush"  # noqa: S105 made


@pytest.fixture
def folder(tmp_path: Path) -> RunDirectory:
    """An event with two versions."""
    found = RunDirectory(str(tmp_path / "event"))
    published(found, FIRST)
    published(found, SECOND)
    return found


def webhook(address: str, **more: object) -> Webhook:
    known = {"url": f"{address}/hook/{SECRET}?token={SECRET}", "attempts": 3, "first_wait_s": 0.01, "timeout_s": 5}
    return Webhook(parse(WebhookConfig, known | more))


def command(script: str, *arguments: str, **more: object) -> Command:
    return Command(parse(CommandConfig, {"argv": [sys.executable, "-c", script, *arguments], **more}))


def failing(count: int, status: int = 503) -> Callable[[Asked], Answer]:
    """A server that fails so often, and then takes everything."""
    answers = iter([status] * count)
    return lambda _: Answer(status=next(answers, 204))


def test_each_version_is_posted_once_in_order_though_the_server_fails_first(folder: RunDirectory):
    with site(failing(2)) as there:
        tried = tell_all(folder, (webhook(there.address),))
        assert {number: one["webhook"].state for number, one in tried.items()} == {0: DELIVERED, 1: DELIVERED}
        assert tell_all(folder, (webhook(there.address),)) == {}
    assert [(one.method, one.path) for one in there.asked] == [("POST", f"/hook/{SECRET}")] * 4
    bodies = [one.body for one in there.asked[2:]]
    assert bodies == [folder.read(f"versions/000{number}/{RESPONSE}") for number in (0, 1)]
    assert told(folder, 1) == {"webhook": Outcome(state=DELIVERED, cycles=1)}


def test_what_fails_is_said_without_its_secret_and_tried_in_the_next_cycle(
    folder: RunDirectory, caplog: pytest.LogCaptureFixture
):
    with site(failing(3)) as there:
        hook = webhook(there.address)
        assert list(tell_all(folder, (hook,))) == [0]  # the one after it waits for it
        outcome = told(folder, 0)["webhook"]
        assert (outcome.state, outcome.cycles) == (FAILED, 1)
        assert outcome.why == f"{there.address}: HTTP status 503 at the last of 3 attempts"
        tell_all(folder, (hook,))
    assert told(folder, 0) == {"webhook": Outcome(state=DELIVERED, cycles=2)}
    assert told(folder, 1)["webhook"].state == DELIVERED
    said = caplog.text + "".join(path.read_text() for path in Path(folder.at(TOLD)).iterdir())
    assert "failed" in said
    assert SECRET not in said


def test_a_refusal_for_good_is_not_repeated_and_given_up_after_the_stated_cycles(folder: RunDirectory):
    with site(failing(99, status=410)) as there:
        hook = webhook(there.address, cycles=2)
        states = [tell_all(folder, (hook,)) for _ in range(3)]
    assert [one[0]["webhook"].state for one in states[:2]] == [FAILED, GIVEN_UP]
    assert [sorted(one) for one in states] == [[0], [0, 1], [1]]  # a version that was given up stands in nobody's way
    assert len(there.asked) == 4


def test_a_redirect_is_no_delivery_and_not_followed(folder: RunDirectory):
    with site(lambda asked: Answer.redirect("/elsewhere") if asked.path.startswith("/hook") else Answer()) as there:
        tell_all(folder, (webhook(there.address),))
    assert told(folder, 0)["webhook"].why.endswith("HTTP status 302")
    assert there.count("/elsewhere") == 0


def test_a_server_that_is_not_there_or_does_not_answer_in_time_is_a_failure():
    told_off = threading.Event()
    with site(lambda _: Answer(status=204 if told_off.wait(20) else 500)) as there:
        slow = webhook(there.address, timeout_s=0.1, attempts=1)
        begun = time.monotonic()
        why = slow.tell(b"{}", "v")
        assert time.monotonic() - begun < 15
        told_off.set()
    assert "of 1 attempts" in why
    gone = webhook(there.address, attempts=2)
    assert gone.tell(b"{}", "v") == f"{there.address}: ConnectionError at the last of 2 attempts"


def test_a_program_has_the_item_on_its_input_and_no_shell_reads_its_arguments(folder: RunDirectory, tmp_path: Path):
    script = (
        "import os, sys; "
        "open(sys.argv[1], 'a').write(os.environ['LANDSLIDE_SCALE_VERSION'] + '\\n' + sys.argv[2] + '\\n'"
        " + sys.stdin.read())"
    )
    tell_all(folder, (command(script, str(tmp_path / "taken"), "$(id); `id`"),))
    first = folder.read(f"versions/0000/{RESPONSE}").decode()
    begin = json.loads(first)["id"] + "\n$(id); `id`\n" + first
    assert (tmp_path / "taken").read_text().startswith(begin)
    assert told(folder, 1) == {"command": Outcome(state=DELIVERED, cycles=1)}


@pytest.mark.parametrize(
    ("hook", "why"),
    [
        (command("import sys; print('first', file=sys.stderr); sys.exit('no room')"), "exit code 1 (no room)"),
        (command("import time; time.sleep(60)", timeout_s=0.5), "not ended after 0.5 s"),
        (Command(CommandConfig(argv=["/no/such/program"])), "cannot be started (No such file or directory)"),
    ],
)
def test_a_program_that_fails_is_said_and_the_others_are_told_all_the_same(
    folder: RunDirectory, hook: Command, why: str
):
    with site(failing(0)) as there:
        tell_all(folder, (hook, webhook(there.address)))
    assert told(folder, 0)["command"].why == f"{hook.config.argv[0]}: {why}"
    assert told(folder, 1) == {"webhook": Outcome(state=DELIVERED, cycles=1)}


def test_a_program_that_does_not_end_is_ended_with_what_it_started(tmp_path: Path):
    script = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "open(sys.argv[1], 'w').write(str(child.pid))\n"
        "time.sleep(60)"
    )
    assert "not ended" in command(script, str(tmp_path / "child"), timeout_s=5).tell(b"", "v")
    child, give_up = int((tmp_path / "child").read_text()), time.monotonic() + 20
    while is_at_work(child):
        assert time.monotonic() < give_up
        time.sleep(0.02)


def is_at_work(process: int) -> bool:
    """Whether there is such a process; one that has ended, and that nobody has asked yet, is none."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_telling_does_not_keep_anybody_waiting(folder: RunDirectory):
    let = threading.Event()
    with site(lambda _: Answer(status=204 if let.wait(20) else 500)) as there:
        herald = Herald((webhook(there.address, timeout_s=60),))
        herald.tell(folder)
        herald.tell(folder)
        assert not herald.rest(0.1)
        assert len(there.asked) <= 1, "the second waits for the first, and nobody for either"
        let.set()
        assert herald.rest(30)
    assert {number: told(folder, number)["webhook"].state for number in (0, 1)} == dict.fromkeys((0, 1), DELIVERED)
    assert len(there.asked) == 2

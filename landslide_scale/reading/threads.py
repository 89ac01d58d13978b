"""Work in threads that stay: what a library keeps for a thread, as GDAL its connections, serves the next read too."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, wait
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from queue import SimpleQueue
from threading import Condition, Event, Lock, Thread
from typing import Any, TypeVar

T = TypeVar("T")

_unwanted: ContextVar[tuple[Event, ...]] = ContextVar("unwanted", default=())
"""Of those who began what this thread does, the outermost first."""


class Crew:
    """Threads of one kind; another one is begun only while all there are have something to do.

    They are daemons: one that is left behind does not keep the process from ending, as a thread pool's would. A process
    that is forked begins its own.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._idle: list[SimpleQueue[tuple[Callable[[], Any], Future[Any]]]] = []
        self._lock = Lock()

    def begin(self, work: Callable[[], T]) -> Future[T]:
        """Have it done; in the thread that was idle last, which is the one whose connections are the youngest."""
        ended: Future[T] = Future()
        with self._lock:
            jobs = self._idle.pop() if self._idle else None
        if jobs is None:
            jobs = SimpleQueue()
            Thread(target=self._stay, args=(jobs,), name=self._name, daemon=True).start()
        jobs.put((work, ended))
        return ended

    def _stay(self, jobs: SimpleQueue[tuple[Callable[[], Any], Future[Any]]]) -> None:
        while True:
            self._do(*jobs.get(), jobs)

    def _do(self, work: Callable[[], T], ended: Future[T], jobs: SimpleQueue[Any]) -> None:
        # Idle before anybody hears of the end, who may have the next piece of work.
        try:
            found = work()
        except BaseException as error:  # noqa: BLE001 raised again by whoever waits
            self._rest(jobs)
            ended.set_exception(error)
        else:
            self._rest(jobs)
            ended.set_result(found)

    def _rest(self, jobs: SimpleQueue[Any]) -> None:
        with self._lock:
            self._idle.append(jobs)


class Gate:
    """Lets so many in at once, whoever they are; the others wait. In a process that is forked nobody is within."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._empty()
        os.register_at_fork(after_in_child=self._empty)

    def _empty(self) -> None:
        self._within = 0
        self._changed = Condition()

    def let(self, most: int) -> None:
        """Let so many in from now on."""
        with self._changed:
            self._most = most
            self._changed.notify_all()

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Be one of them, for as long as the block takes."""
        with self._changed:
            self._changed.wait_for(lambda: self._within < self._most)
            self._within += 1
        try:
            yield
        finally:
            with self._changed:
                self._within -= 1
                self._changed.notify()


def in_order(calls: Iterable[Callable[[], T]], crew: Crew, *, ahead: int) -> Iterator[T]:
    """What each call gives, in their order, while up to `ahead` later ones are at work.

    What a call raises comes in its turn. Calls that are at work by then are waited for, and end at their next
    :func:`check_wanted`, so that nothing is left behind that takes memory.

    Args:
        calls: What is to be done.
        crew: Whose threads do it; without `ahead`, the calling one does.
        ahead: How many.
    """
    if not ahead:
        yield from (call() for call in calls)
        return
    unwanted, begun, stopped = Event(), deque[Future[T]](), False
    try:
        for call in calls:
            begun.append(crew.begin(partial(copy_context().run, _wanted_until, unwanted, call)))
            if len(begun) > ahead:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    except BaseException as error:
        stopped = not isinstance(error, (Exception, GeneratorExit))  # the process is to end, and waits for nothing
        raise
    finally:
        unwanted.set()
        if not stopped:
            wait(begun)


def check_wanted() -> None:
    """Make sure that whoever began the work that this thread does has still a use for it.

    Raises:
        CancelledError: They have not.
    """
    if any(unwanted.is_set() for unwanted in _unwanted.get()):
        raise CancelledError


def _wanted_until(unwanted: Event, call: Callable[[], T]) -> T:
    _unwanted.set((*_unwanted.get(), unwanted))
    return call()

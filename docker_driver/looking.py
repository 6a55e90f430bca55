"""The loop of every thread that keeps something as it should be: it looks, and others only wake it."""

from __future__ import annotations

import abc
import logging
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from docker_driver.errors import Refused, Unreachable


class Pace(NamedTuple):
    """How often it looks."""

    look_s: float
    """Everything is compared anew after this long without a reason."""
    first_retry_s: float
    last_retry_s: float
    """It looks again this soon after something failed, ever later up to the last."""


class Looker(abc.ABC):
    """Looks when woken, soon after something failed, and every so often. One thread runs; any may wake it."""

    def __init__(self, log: logging.Logger, pace: Pace) -> None:
        """Nothing happens before `run`."""
        self._log = log
        self._pace = pace
        self._woken = threading.Event()
        self._stopped = False

    @abc.abstractmethod
    def look(self) -> bool:
        """Make it as it should be; return whether all of it is so."""

    @abc.abstractmethod
    def forget(self) -> None:
        """Compare everything anew at the next look."""

    def renew(self) -> None:
        """Begin a look without a reason: forget."""
        self.forget()

    def wake(self) -> None:
        """Look now."""
        self._woken.set()

    def stop(self) -> None:
        """End the thread soon. What is there stays: containers go on."""
        self._stopped = True
        self._woken.set()

    def run(self) -> None:
        """Look until stopped."""
        retry_s: float | None = None
        full_at = 0.0
        while not self._stopped:
            if time.monotonic() >= full_at:
                self.renew()
                full_at = time.monotonic() + self._pace.look_s
            settled = self._guarded_look()
            retry_s = None if settled else min(2 * (retry_s or self._pace.first_retry_s / 2), self._pace.last_retry_s)
            self._woken.wait(max(0.0, full_at - time.monotonic()) if retry_s is None else retry_s)
            self._woken.clear()

    def _guarded_look(self) -> bool:
        try:
            return self.look()
        except Exception:  # noqa: BLE001 - logged with its traceback; a thread that ended would keep nothing as it should be
            self._log.exception("a look failed by a fault of ours: report it with these lines")
            self.forget()
            return False


class Troubles:
    """What is wrong, by what it is about: logged once until it is over or changes."""

    def __init__(self, log: logging.Logger, prefix: str = "") -> None:
        """Nothing is wrong; `prefix` comes before what it is about."""
        self._log = log
        self._prefix = prefix
        self._known: dict[str, str] = {}

    def attempt(self, what: str, step: Callable[[], None]) -> bool:
        """Do a step that is tried again later; return whether it could be done."""
        try:
            step()
        except (Unreachable, Refused) as error:
            self.tell(what, f"{error}; trying again")
            return False
        self.relieve(what)
        return True

    def tell(self, what: str, problem: str) -> None:
        """Log a trouble; none, which is empty, ends it without a word."""
        if problem and self._known.get(what) != problem:
            self._log.warning("%s%s: %s", self._prefix, what, problem)
        self._known[what] = problem

    def relieve(self, what: str) -> None:
        """Log that a trouble is over, if there was one."""
        if self._known.pop(what, ""):
            self._log.info("%s%s: well again", self._prefix, what)

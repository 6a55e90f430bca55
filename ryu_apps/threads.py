"""Threads for the parts of the controller: what goes wrong in one is logged, and the part goes on."""

from __future__ import annotations

import logging
import threading
import time
from typing import Protocol

from intent.schema.changes import StoreUnavailableError

log = logging.getLogger("ringfence")

PAUSE_S = 1.0
STORE_PAUSE_S = 10.0
"""Until a store that could not be written is tried again."""


class Part(Protocol):
    """Something with a thread of its own."""

    stopped: bool

    def run(self) -> None:
        """Work until stopped."""

    def stop(self) -> None:
        """End the thread soon."""


def start(part: Part) -> None:
    """Run a part in a thread until it is stopped; after a fault of ours it begins anew.

    Every part looks at the whole state each time, so nothing is lost by beginning anew.
    """
    name = type(part).__name__.lower()
    threading.Thread(target=_keep_running, args=(part, name), name=name, daemon=True).start()


def _keep_running(part: Part, name: str) -> None:
    while not part.stopped:
        try:
            part.run()
        except Exception as error:  # noqa: BLE001 - whatever it is, the others must go on
            _report(part, name, error)


def _report(part: Part, name: str, error: Exception) -> None:
    if part.stopped:  # the store was closed under it
        return
    if isinstance(error, StoreUnavailableError):
        log.error("the %s waits: %s", name, error)
        time.sleep(STORE_PAUSE_S)
        return
    log.error("the %s had a fault of ours, and begins anew: report it with these lines", name, exc_info=error)
    time.sleep(PAUSE_S)

"""Waiting until the switches confirmed what was asked."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from cli.exits import Exit, Failure

if TYPE_CHECKING:
    from cli.answer import Answer
    from cli.client import Client

SERVER_WAIT_S = 60.0
"""Longest wait that is left to the controller in one request."""
FIRST_PAUSE_S, LAST_PAUSE_S = 0.05, 1.0


def is_realized(realized: Answer) -> bool:
    """Say whether every switch confirmed."""
    return realized.text("phase") == "realized"


def until_realized(client: Client, timeout_s: float) -> Answer:
    """Return the status as soon as everything is realized, or as it is after `timeout_s`.

    A controller that cannot be reached may be about to start, so it is asked again.

    Raises:
        Failure: it cannot be reached in time, or answers with an error.
    """
    deadline, pause_s = time.monotonic() + timeout_s, FIRST_PAUSE_S
    while True:
        answer = _status(client, is_last=time.monotonic() >= deadline)
        left_s = deadline - time.monotonic()
        if answer is not None and (is_realized(answer.part("realized")) or left_s <= 0):
            return answer
        time.sleep(max(0.0, min(pause_s, left_s)))
        pause_s = min(2 * pause_s, LAST_PAUSE_S)


def _status(client: Client, *, is_last: bool) -> Answer | None:
    try:
        return client.get("/v1/status")
    except Failure as failure:
        if is_last or failure.code is not Exit.UNREACHABLE:
            raise
        return None

"""Waiting until the switches confirmed what was asked."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

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
    """Return the status as soon as everything is realized, or as it is after `timeout_s`."""
    deadline, pause_s = time.monotonic() + timeout_s, FIRST_PAUSE_S
    while True:
        answer = client.get("/v1/status")
        left_s = deadline - time.monotonic()
        if is_realized(answer.part("realized")) or left_s <= 0:
            return answer
        time.sleep(min(pause_s, left_s))
        pause_s = min(2 * pause_s, LAST_PAUSE_S)

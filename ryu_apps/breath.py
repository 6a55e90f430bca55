"""How this process lets other green threads run in the midst of a long computation: the API, echoes, other switches."""

from __future__ import annotations

import time

from ryu_apps import collecting

EVERY_S = 0.005
"""Work between two turns of others."""
PASS_BY = 20
"""Breaths after which the garbage collector need not look at what was made: it would stop everybody for longer."""


class Breath:
    """A `breathe` for one thread: others get their turn once it has had its share, else it costs a tenth of a us."""

    def __init__(self) -> None:
        self._at = time.monotonic()
        """When others had theirs last, as far as is known."""
        self._taken = 0

    def __call__(self) -> None:
        """Let others run if it is time."""
        if time.monotonic() - self._at >= EVERY_S:
            self._taken += 1
            if not self._taken % PASS_BY:
                collecting.pass_by()
            time.sleep(0)
            self._at = time.monotonic()

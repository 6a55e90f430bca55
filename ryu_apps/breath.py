"""How this process lets other green threads run in the midst of a long computation: the API, echoes, other switches."""

from __future__ import annotations

import time

EVERY_S = 0.005
"""Work between two turns of others."""


class Breath:
    """A `breathe` for one thread: others get their turn once it has had its share, else it costs a tenth of a us."""

    def __init__(self) -> None:
        self._at = time.monotonic()
        """When others had theirs last, as far as is known."""

    def __call__(self) -> None:
        """Let others run if it is time."""
        if time.monotonic() - self._at >= EVERY_S:
            time.sleep(0)
            self._at = time.monotonic()

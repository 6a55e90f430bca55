"""Numbers of things: which key has which, which are free, and which rest.

A number that is freed rests for at least `REST_S` before something else may have it: a flow, a label of
a live connection or a counter that still carries it can never be taken for the new owner's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

REST_S = 600
"""Seconds a freed number rests (DESIGN, law 4)."""

LIMITS = {"network": 2**16 - 3, "rule": 2**32 - 1, "identity": 2**31 - 1, "attachment": 2**31 - 1,
          "conjunction": 2**32 - 1, "queue": 31, "mirror": 2**8 - 1}  # fmt: skip
"""Greatest number of each space: what its register or label slice holds."""


class OutOfNumbers(Exception):
    """A space of numbers is used up; the message names the remedy."""


@dataclasses.dataclass(frozen=True, slots=True)
class Space:
    """Numbers of one kind of thing."""

    live: Mapping[str, int] = dataclasses.field(default_factory=dict)
    resting: Mapping[int, float] = dataclasses.field(default_factory=dict)
    """Numbers freed within the last REST_S, and when, in seconds since the epoch."""
    next: int = 1
    """Where the search for a free number begins: they go round, so that a freed one stays unused long."""

    def with_keys(self, keys: Iterable[str], now_s: float, limit: int) -> Space:
        """Return the space with exactly `keys` live; new keys get numbers in sorted order.

        Raises:
            OutOfNumbers: more keys than `limit`, those at rest included.
        """
        wanted = set(keys)
        if wanted == self.live.keys():
            return self
        live = {k: n for k, n in self.live.items() if k in wanted}
        resting = {n: since for n, since in self.resting.items() if since + REST_S > now_s}
        resting.update((n, now_s) for k, n in self.live.items() if k not in wanted)
        fresh = sorted(wanted - live.keys())
        taken = {*live.values(), *resting}
        if len(taken) + len(fresh) > limit:
            raise OutOfNumbers(f"all {limit} numbers are in use or rest; wait {REST_S // 60} minutes")
        following = self.next
        for key in fresh:
            while following in taken or following > limit:
                following = following + 1 if following < limit else 1
            live[key], following = following, following + 1
            taken.add(live[key])
        return Space(live, resting, following)

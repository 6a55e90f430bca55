"""Whose packets a flow counted that is nobody's own: exact sums shared out by samples. Pure.

What drops is shared by all endpoints, so its counter says how many and not whose. Of the packets a switch shows
some, at most `verdict.SAMPLES` a second of each kind. Each sample is one packet for certain; what a counter grew
beyond its samples is shared out as the samples were. So while no meter held a sample back every figure is exact.

Flows count late, by half a second and more, so what a reading finds may belong to samples of the reading before; at
the end of a flood all of it does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

MAX_CAUSES = 256
"""Counters followed at a time on one switch; the one that rested longest goes first."""
MAX_PAIRS = 4096
"""Pairs of ports in the samples of one counter since it was shared out last."""
QUIET_S = 10.0
"""So long after its last sample a counter is still asked for: flows count up to a second late."""


class Pair(NamedTuple):
    """Where packets came from and where they were to go; OpenFlow ports of one switch, 0 for none known."""

    source: int
    destination: int


class Share(NamedTuple):
    """Packets of one pair."""

    pair: Pair
    packets: int


class Cause:
    """One counter."""

    __slots__ = ("before", "counted", "last", "owed", "sampled_at", "weights")

    def __init__(self, counted: int | None) -> None:
        self.counted = counted
        """What it was at the last reading, or before the first sample; None: the next reading is the first."""
        self.owed = 0
        """What it grew beyond the samples; below 0 while it lags behind them."""
        self.weights: Counter[Pair] = Counter()
        """Samples since the last reading."""
        self.before: Counter[Pair] = Counter()
        """Samples between the last two readings."""
        self.last: Counter[Pair] = Counter()
        """The samples of the newest reading that had any."""
        self.sampled_at = 0.0

    def sample(self, at: float, pair: Pair) -> None:
        """Take a sample."""
        if pair in self.weights or len(self.weights) < MAX_PAIRS:
            self.weights[pair] += 1
        self.owed -= 1
        self.sampled_at = at

    def read(self, counted: int) -> Iterator[Share]:
        """Take a reading; yield what it adds to the samples."""
        before = counted if self.counted is None else self.counted
        self.owed += counted - before if counted >= before else counted
        self.counted = counted
        weights = self.before + self.weights or self.last
        self.last = self.weights or self.last
        self.before, self.weights = self.weights, Counter()
        if self.owed > 0 and weights:
            owed, self.owed = self.owed, 0
            yield from shared(owed, weights)


def shared(packets: int, weights: Counter[Pair]) -> Iterator[Share]:
    """Share out packets by weight, none lost and none made up."""
    total, before = weights.total(), 0
    passed = 0
    for pair, weight in weights.items():
        passed += weight
        until = packets * passed // total
        if until > before:
            yield Share(pair, until - before)
        before = until


class Attribution:
    """The counters of one switch that are followed, by cookie."""

    def __init__(self) -> None:
        self._causes: dict[int, Cause] = {}
        self._crowded = False
        """Some counter was let go, so that what is known of one from elsewhere may be shared out already."""

    def sample(self, at: float, cookie: int, pair: Pair, counted: int | None) -> None:
        """Take a sample; `counted` is what the counter was before, if known, for one that is not followed yet."""
        cause = self._causes.get(cookie)
        if cause is None:
            if len(self._causes) >= MAX_CAUSES:
                del self._causes[min(self._causes, key=lambda c: self._causes[c].sampled_at)]
                self._crowded = True
            cause = self._causes[cookie] = Cause(None if self._crowded else counted)
        cause.sample(at, pair)

    def wanted(self, now: float) -> list[int]:
        """Return the cookies whose sums are to be read."""
        return [cookie for cookie, cause in self._causes.items() if now - cause.sampled_at <= QUIET_S]

    def read(self, cookie: int, counted: int) -> Iterator[Share]:
        """Take a reading of a counter; yield what it adds to the samples."""
        cause = self._causes.get(cookie)
        if cause is not None:
            yield from cause.read(counted)

"""What each endpoint received, sent, lost, was refused and opened: totals that never fall, and a bounded past. Pure.

A total grows by what its sources grew. So it goes on when a switch connects anew, when the endpoint moves to
another port, and, because totals and last readings are kept together, when the controller starts anew.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from intent.api.figures import Figures, Moment, Reading
from ryu_apps.wire import PortStats

WIDTH = len(Figures._fields)
KEPT_MOMENTS = 61
"""Of the last minute by the second, and of the last hour by the minute: 11 KB an endpoint, 110 MB for 10,000."""
RATE_S = 3.0
"""Rates are over so long, because switches count flows up to a second late and in lumps."""
MAX_ENDPOINTS = 20_000
"""More are counted and have no past."""
MAX_REASONS = 32
"""Reasons by name of one endpoint; more come under `OTHER`."""
OTHER = "other"
FORGET_S = 3600.0
"""What is known of an endpoint is forgotten so long after it was unplugged."""

Counters: TypeAlias = tuple[int, ...]
"""What a port counted last, in the order of `PortStats` without the port."""
ORDER = ("tx_packets", "rx_packets", "tx_bytes", "rx_bytes", "tx_lost", "rx_lost")
"""The endpoint's figure that each of these is: what the port received, the endpoint sent."""
PLACES = tuple(Figures._fields.index(name) for name in ORDER)
_MASK = (1 << 64) - 1
_WORD = 1 << 32
_QUARTER = _WORD >> 2


class Owner(NamedTuple):
    """Whose port it is."""

    endpoint: str
    uid: str
    """Of the OVSDB row: another row is another attachment."""
    device: str = ""
    """MAC of the network device, if it is known: the same one may be plugged in elsewhere, and counts on."""


class Device(NamedTuple):
    """What an endpoint's network device counted last, wherever it was plugged in."""

    mac: str
    counters: Counters

    def goes_on(self, mac: str, counters: Counters) -> bool:
        """Whether these can be the counters of the same device: another one counts from 0."""
        return (
            bool(mac) and mac == self.mac and all(now >= was for was, now in zip(self.counters, counters, strict=True))
        )


def grown(last: int, now: int) -> int:
    """Return by how much a counter grew: one that fell began anew, or passed the end of its 32 bits."""
    if now >= last:
        return now - last
    if last < _WORD and last >= _WORD - _QUARTER and now < _QUARTER:
        return now + _WORD - last
    return now


class Ring:
    """The newest moments, in a fixed piece of memory."""

    __slots__ = ("_count", "_times", "_values", "newest_at")

    def __init__(self) -> None:
        self.newest_at: float | None = None
        self._times = array("d", bytes(8 * KEPT_MOMENTS))
        self._values = array("Q", bytes(8 * KEPT_MOMENTS * WIDTH))
        self._count = 0

    def put(self, at: float, totals: array[int]) -> None:
        """Add a moment; the oldest goes."""
        place = self._count % KEPT_MOMENTS
        self._times[place] = self.newest_at = at
        self._values[place * WIDTH : (place + 1) * WIDTH] = totals
        self._count += 1

    def moments(self) -> Iterator[Moment]:
        """Yield what is kept, newest first."""
        for number in range(self._count - 1, max(self._count - KEPT_MOMENTS, 0) - 1, -1):
            place = number % KEPT_MOMENTS
            yield Moment(self._times[place], Figures(*self._values[place * WIDTH : (place + 1) * WIDTH]))


class Gauge:
    """One endpoint."""

    __slots__ = ("at", "device", "minutes", "reasons", "row", "seconds", "seen_at", "since", "totals")

    def __init__(self, since: float) -> None:
        self.since = self.at = self.seen_at = since
        self.totals = [0] * WIDTH
        self.row: array[int] | None = None
        """The totals as a ring has them, until they change."""
        self.reasons: dict[tuple[str, str], int] = {}
        self.device: Device | None = None
        self.seconds: Ring | None = None
        self.minutes: Ring | None = None

    def blame(self, figure: str, why: str, packets: int) -> None:
        """Add to a reason."""
        key = (figure, why)
        if key not in self.reasons and len(self.reasons) >= MAX_REASONS:
            key = (figure, OTHER)
        self.reasons[key] = self.reasons.get(key, 0) + packets

    def keep(self, at: float) -> None:
        """Make the totals a moment of the past."""
        self.at = at
        if self.seconds is None or self.minutes is None:
            return
        if self.row is None:
            self.row = array("Q", [value & _MASK for value in self.totals])
        self.seconds.put(at, self.row)
        if self.minutes.newest_at is None or at - self.minutes.newest_at >= 60.0:  # noqa: PLR2004 - a minute
            self.minutes.put(at, self.row)

    def rates(self) -> tuple[float, ...]:
        """Return how fast each total grows, a second; zeros before there are two moments."""
        newest = oldest = None
        for moment in self.seconds.moments() if self.seconds else ():
            newest = newest or moment
            if oldest and oldest is not newest and newest.at - moment.at > RATE_S:
                break
            oldest = moment
        if newest is None or oldest is None or newest.at <= oldest.at:
            return (0.0,) * WIDTH
        span_s = newest.at - oldest.at
        return tuple(max(b - a, 0) / span_s for a, b in zip(oldest.totals, newest.totals, strict=True))


class Gauges:
    """All endpoints. Not safe for several threads at a time; green threads do not interrupt it."""

    def __init__(self) -> None:
        self._gauges: dict[str, Gauge] = {}
        self._last: dict[tuple[int, str], Counters] = {}
        """By datapath id and interface row."""

    # -- what comes in -------------------------------------------------------------------------

    def ports(self, at: float, dpid: int, ports: Collection[PortStats], owners: Mapping[int, Owner]) -> None:
        """Take what the ports of a switch counted; `owners` says whose each port number is."""
        for port in ports:
            owner = owners.get(port.ofport)
            if owner is None:
                continue
            gauge = self._gauge(owner.endpoint, at)
            key, counters = (dpid, owner.uid), tuple(port[1:])
            last = self._last.get(key)
            gauge.seen_at = at
            if counters == last and gauge.device == (owner.device, counters):
                gauge.keep(at)  # nothing was counted: the usual case
                continue
            if last is None and gauge.device is not None and gauge.device.goes_on(owner.device, counters):
                last = gauge.device.counters  # it moved, and took them along
            for place, before, now in zip(PLACES, last or (0,) * len(counters), counters, strict=True):
                gauge.totals[place] += grown(before, now)
            self._last[key], gauge.device, gauge.row = counters, Device(owner.device, counters), None
            gauge.keep(at)

    def add(self, at: float, endpoint: str, figure: str, packets: int, why: str = "") -> None:
        """Add packets to a figure of an endpoint, and to the reason of a drop."""
        gauge = self._gauge(endpoint, at)
        gauge.totals[Figures._fields.index(figure)] += packets
        gauge.row = None
        if why:
            gauge.blame(figure, why, packets)

    def forget(self, now: float, owners: Collection[Owner]) -> None:
        """Forget endpoints that are gone for long, and interfaces that are no more; `owners` are those there are."""
        names, uids = {owner.endpoint for owner in owners}, {owner.uid for owner in owners}
        kept = ((name, g) for name, g in self._gauges.items() if name in names or now - g.seen_at < FORGET_S)
        self._gauges = dict(kept)
        self._last = {key: counters for key, counters in self._last.items() if key[1] in uids}

    def _gauge(self, endpoint: str, at: float) -> Gauge:
        gauge = self._gauges.get(endpoint)
        if gauge is None:
            gauge = self._gauges[endpoint] = Gauge(at)
        if gauge.seconds is None and len(self._gauges) <= MAX_ENDPOINTS:
            gauge.seconds, gauge.minutes = Ring(), Ring()
        return gauge

    # -- what is known -------------------------------------------------------------------------

    def readings(self) -> Sequence[Reading]:
        """Return every endpoint's, by name."""
        return [self._reading(name, gauge) for name, gauge in sorted(self._gauges.items())]

    def reading(self, endpoint: str) -> Reading | None:
        """Return one endpoint's; None while nothing is known of it."""
        gauge = self._gauges.get(endpoint)
        return None if gauge is None else self._reading(endpoint, gauge)

    def past(self, endpoint: str, *, minutes: bool) -> Sequence[Moment]:
        """Return what is kept of an endpoint's past, oldest first."""
        gauge = self._gauges.get(endpoint)
        ring = None if gauge is None else gauge.minutes if minutes else gauge.seconds
        return [] if ring is None else list(ring.moments())[::-1]

    @staticmethod
    def _reading(name: str, gauge: Gauge) -> Reading:
        return Reading(name, gauge.since, gauge.at, Figures(*gauge.totals), gauge.rates(), dict(gauge.reasons))

    # -- what outlives the controller ----------------------------------------------------------

    def dump(self) -> bytes:
        """Return totals and last readings, which belong together."""
        endpoints = {
            name: [g.since, g.seen_at, g.totals, [[*key, n] for key, n in g.reasons.items()]]
            for name, g in self._gauges.items()
        }
        last = [[dpid, uid, *counters] for (dpid, uid), counters in self._last.items()]
        devices = {name: [g.device.mac, *g.device.counters] for name, g in self._gauges.items() if g.device}
        whole = {"figures": Figures._fields, "endpoints": endpoints, "last": last, "devices": devices}
        return json.dumps(whole).encode()

    @classmethod
    def load(cls, raw: bytes) -> Gauges:
        """Read what `dump` returned; figures that it did not have are 0.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: it is something else.
        """
        found, kept = cls(), json.loads(raw)
        places = [Figures._fields.index(name) for name in kept["figures"] if name in Figures._fields]
        if len(places) != len(kept["figures"]):
            raise ValueError("figures of a later version")
        for name, (since, seen_at, totals, reasons) in kept["endpoints"].items():
            gauge = found._gauge(name, float(since))
            gauge.seen_at = float(seen_at)
            for place, total in zip(places, totals, strict=True):
                gauge.totals[place] = int(total)
            gauge.row = None
            gauge.reasons = {(figure, why): int(n) for figure, why, n in reasons}
        for name, (mac, *counters) in kept.get("devices", {}).items():
            if name in found._gauges and len(counters) == len(PLACES):
                found._gauges[name].device = Device(str(mac), tuple(map(int, counters)))
        found._last = {(int(dpid), str(uid)): tuple(map(int, counters)) for dpid, uid, *counters in kept["last"]}
        return found

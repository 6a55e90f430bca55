"""Conntrack of Open vSwitch's userspace datapath, as far as programs use it: for the interpreter.

Source: lib/conntrack.c of OVS 3.1. Connections do not time out here.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from intent.compiler import fields as f
from intent.compiler.flow import Nat, Side
from topology.model import IPAddress
from topology.packet import ICMP, ICMPV6, SCTP, Frame, Opening

PORTLESS = frozenset({SCTP})
"""Protocols that OVS 3.1's userspace conntrack keys without ports."""
EPHEMERAL = 1024
"""First of the ports that a translation falls back on."""
REQUESTS = {ICMP: {8: 0, 13: 14, 15: 16}, ICMPV6: {128: 129}}
"""ICMP types that open a connection, and what answers them."""


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One connection that was committed."""

    opening: Opening
    label: int


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """What conntrack says of one packet."""

    state: int
    label: int = 0
    opening: Opening | None = None


class Moved(NamedTuple):
    """A packet after a zone that translates."""

    frame: Frame
    quoted: Opening | None
    """The connection that an ICMP error is about, as the error says it now."""
    state: int


class Conntrack:
    """The connections of one switch, as the userspace datapath keeps them (without time-outs)."""

    def __init__(self, entries: dict[tuple[int, Opening], Entry] | None = None) -> None:
        self.entries = dict(entries or {})
        self.translations: dict[tuple[int, Opening], Opening] = {}
        """What openings became, in zones that translate."""

    def view(self, zone: int, frame: Frame, quoted: Opening | None) -> View:
        """Classify a frame; `quoted` is the opening of the connection that an ICMP error is about."""
        if quoted is not None:
            entry = self.entries.get((zone, quoted))
            return View(f.CS_REL | f.CS_TRK, entry.label, quoted) if entry else View(f.CS_INV | f.CS_TRK)
        forward = opening_of(frame)
        backward = reversed_opening(frame)
        if forward is not None and (entry := self.entries.get((zone, forward))):
            return View(f.CS_EST | f.CS_TRK, entry.label, forward)
        if backward is not None and (entry := self.entries.get((zone, backward))):
            return View(f.CS_EST | f.CS_RPL | f.CS_TRK, entry.label, backward)
        return View(f.CS_NEW | f.CS_TRK, 0, forward) if forward is not None else View(f.CS_INV | f.CS_TRK)

    def commit(self, zone: int, opening: Opening, label: int) -> None:
        """Keep a connection, or give it another label."""
        self.entries[zone, opening] = Entry(opening, label)

    def translate(self, zone: int, frame: Frame, quoted: Opening | None, chosen: Nat | None = None) -> Moved:
        """Give a frame the addresses of its connection; one that opens gets some of `chosen`, if they are free."""
        if quoted is not None:
            return self._quoting(zone, frame, quoted)
        forward, backward = opening_of(frame), reversed_opening(frame)
        if forward is not None and (after := self.translations.get((zone, forward))):
            return Moved(_with(frame, after), None, f.CS_EST | f.CS_TRK | _flag(forward, after))
        for before in self._before(zone, backward):
            turned = (before.dst, before.src, before.dport, before.sport)
            return Moved(_replaced(frame, turned), None, f.CS_EST | f.CS_RPL | f.CS_TRK | _flag(before, backward, 1))
        if forward is None:
            return Moved(frame, None, f.CS_INV | f.CS_TRK)
        after = None if chosen is None else self.free(zone, forward, chosen)
        if after is None:
            return Moved(frame, None, f.CS_NEW | f.CS_TRK)
        self.translations[zone, forward] = after
        return Moved(_with(frame, after), None, f.CS_NEW | f.CS_TRK | _flag(forward, after))

    def _quoting(self, zone: int, frame: Frame, quoted: Opening) -> Moved:
        """Conntrack rewrites the outer address of the translated side, and the packet that is quoted."""
        state = f.CS_REL | f.CS_TRK
        if after := self.translations.get((zone, quoted)):
            side: dict[str, Any] = {"src": after.src} if after.src != quoted.src else {"dst": after.dst}
            return Moved(dataclasses.replace(frame, **side), after, state | _flag(quoted, after))
        for before in self._before(zone, quoted):
            side = {"dst": before.src} if before.src != quoted.src else {"src": before.dst}
            return Moved(dataclasses.replace(frame, **side), before, state | _flag(before, quoted, 1))
        return Moved(frame, quoted, f.CS_INV | f.CS_TRK)

    def _before(self, zone: int, after: Opening | None) -> list[Opening]:
        """Return what was translated to an opening: one or none."""
        return [] if after is None else [k for (z, k), v in self.translations.items() if (z, v) == (zone, after)]

    def free(self, zone: int, opening: Opening, chosen: Nat) -> Opening | None:
        """Return what an opening becomes: with the source port that it has if that is free, else another."""
        changes: dict[str, Any] = {"src" if chosen.side is Side.SOURCE else "dst": chosen.address}
        if chosen.port is not None:
            changes["dport"] = chosen.port
        after = dataclasses.replace(opening, **changes)
        tries = [after]
        if after.sport is not None:
            tries += [dataclasses.replace(after, sport=port) for port in range(EPHEMERAL, EPHEMERAL + 128)]
        return next((each for each in tries if not self._before(zone, each)), None)


def _flag(before: Opening, after: Opening | None, back: int = 0) -> int:
    """Return which side of a packet was rewritten; on the way back it is the other."""
    source = after is not None and before.src != after.src
    return (f.CS_DNAT, f.CS_SNAT)[source ^ back]


def _with(frame: Frame, opening: Opening) -> Frame:
    return _replaced(frame, (opening.src, opening.dst, opening.sport, opening.dport))


def _replaced(frame: Frame, ends: tuple[IPAddress, IPAddress, int | None, int | None]) -> Frame:
    src, dst, sport, dport = ends
    return dataclasses.replace(frame, src=src, dst=dst, sport=sport, dport=dport)


def opening_of(frame: Frame) -> Opening | None:
    """Return the connection a frame would open, None if its kind opens none."""
    if frame.src is None or frame.dst is None or frame.protocol is None:
        return None
    if frame.protocol in REQUESTS and (frame.icmp_type not in REQUESTS[frame.protocol] or frame.icmp_code):
        return None
    sport, dport = _tracked_ports(frame)
    return Opening("", frame.src, frame.dst, frame.protocol, sport, dport, frame.icmp_type, frame.icmp_code)


def reversed_opening(frame: Frame) -> Opening | None:
    """Return the connection a frame would be the reply of."""
    if frame.src is None or frame.dst is None or frame.protocol is None:
        return None
    kind = frame.icmp_type
    if frame.protocol in REQUESTS:
        requests = {answer: request for request, answer in REQUESTS[frame.protocol].items()}
        if kind not in requests or frame.icmp_code:
            return None
        kind = requests[kind]
    sport, dport = _tracked_ports(frame)
    return Opening("", frame.dst, frame.src, frame.protocol, dport, sport, kind, frame.icmp_code)


def _tracked_ports(frame: Frame) -> tuple[int | None, int | None]:
    return (None, None) if frame.protocol in PORTLESS else (frame.sport, frame.dport)

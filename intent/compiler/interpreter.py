"""Runs a flow program on one frame as Open vSwitch would: the compiler's half of the great property.

Models what the pipeline uses: highest priority first, conjunctive matches (with their trap: a satisfied
conjunction without its `conj_id` flow hides lower priorities' plain flows but not other conjunctions),
resubmit, registers, conntrack with labels. Sources: ovs-actions(7), ovs-fields(7), OVS `classifier.c`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from intent.compiler import fields as f
from intent.compiler.conntrack import PORTLESS, REQUESTS, Conntrack, Entry, View, opening_of, reversed_opening
from intent.compiler.cookie import Kind, Origin, encode
from intent.compiler.fields import Field, Slice
from intent.compiler.flow import (
    CONTROLLER,
    IN_PORT,
    Act,
    Actions,
    Conjunction,
    Ct,
    DecTtl,
    FlowBody,
    FlowKey,
    Goto,
    Group,
    Load,
    Match,
    Meter,
    Move,
    Output,
    OutputReg,
    Program,
    Resubmit,
    SetQueue,
)
from topology.packet import ETH_ARP, ETH_IPV4, ETH_IPV6, ICMP, ICMPV6, SCTP, TCP, UDP, Frame, Opening

__all__ = [
    "PORTLESS",
    "Conntrack",
    "Entry",
    "Interpreter",
    "Result",
    "State",
    "View",
    "frame_state",
    "matches",
    "opening_of",
    "reversed_opening",
]

SOLICITATION = 135
V4 = 4
State = dict[Field, int]

_SAMPLE = encode(Origin(Kind.SAMPLE, 0)) >> 48
_PORTS = {TCP: (f.TCP_SRC, f.TCP_DST), UDP: (f.UDP_SRC, f.UDP_DST), SCTP: (f.SCTP_SRC, f.SCTP_DST)}
_TUNNEL = (f.TUN_SRC, f.TUN_DST, f.TUN_ID, f.TUN_OPTION)


@dataclasses.dataclass(slots=True)
class Result:
    """Where a frame went, and by which flows."""

    ports: list[int] = dataclasses.field(default_factory=list)
    """Output ports in order; IN_PORT answers."""
    to_controller: bool = False
    """Shown for an answer or to learn from; samples do not count."""
    committed: Opening | None = None
    taken: list[Output | Group] = dataclasses.field(default_factory=list)
    """By what it left each time, the port it was in the end."""
    left: list[State] = dataclasses.field(default_factory=list)
    """The frame as it was at each output."""
    trail: list[FlowKey] = dataclasses.field(default_factory=list)
    tunnel: State = dataclasses.field(default_factory=dict)
    """What of tunnels the packet says when it goes out."""
    group: int | None = None
    """The group that it left by, which chose the port."""
    queues: list[int] = dataclasses.field(default_factory=list)
    """For each of `ports`, the queue it left by; 0 if none was set."""
    metered: list[int] = dataclasses.field(default_factory=list)
    """The meters it went through; here none ever drops."""
    cookies: list[int] = dataclasses.field(default_factory=list)
    """Cookie of each flow hit; the last, but for NOTE's, is the decider of a drop."""

    @property
    def reason(self) -> int:
        """The cookie in whose name a frame was dropped that was dropped."""
        return [value for value in self.cookies if value >> 48 != _SAMPLE][-1]


class Interpreter:
    """One program, indexed by table and priority."""

    def __init__(self, program: Program) -> None:
        self._tables: dict[int, dict[int, list[tuple[Match, FlowBody]]]] = {}
        for key, body in program.items():
            self._tables.setdefault(key.table, {}).setdefault(key.priority, []).append((key.match, body))
        self._order = {t: sorted(p, reverse=True) for t, p in self._tables.items()}

    def run(
        self, frame: Frame, conntrack: Conntrack, quoted: Opening | None = None, tunnel: State | None = None
    ) -> Result:
        """Send one frame through the program; commits go into `conntrack`.

        `tunnel` is what a packet that comes from a tunnel brings: `TUN_SRC`, `TUN_ID`, `TUN_OPTION`.
        """
        walk = _Run(self, frame, conntrack, quoted)
        return walk.go(tunnel or {})

    def lookup(self, table: int, state: State) -> tuple[FlowKey, FlowBody] | None:
        """Return the flow that a lookup in one table finds."""
        for priority in self._order.get(table, ()):
            hits = [(m, b) for m, b in self._tables[table][priority] if matches(m, state)]
            plain = [(m, b) for m, b in hits if not _is_clause(b)]
            if plain:
                match, body = plain[0]
                return FlowKey(table, priority, match), body
            found = self._conjunction(table, priority, (b for _, b in hits), state)
            if found is not None:
                return found if found[1] is not None else None  # type: ignore[return-value]
        return None

    def _conjunction(
        self, table: int, priority: int, clauses: Iterable[FlowBody], state: State
    ) -> tuple[FlowKey, FlowBody | None] | None:
        satisfied: dict[tuple[int, int], set[int]] = {}
        for body in clauses:
            for act in body.actions:
                if isinstance(act, Conjunction):
                    satisfied.setdefault((act.id, act.of), set()).add(act.clause)
        complete = sorted(i for (i, of), have in satisfied.items() if len(have) == of)
        for number in complete:
            with_id = {**state, f.CONJ_ID: number}
            for match, body in self._tables[table][priority]:
                if not _is_clause(body) and matches(match, with_id) and any(t.field is f.CONJ_ID for t in match):
                    return FlowKey(table, priority, match), body
        # A satisfied conjunction without its conj_id flow hides everything below (seen on OVS 3.1).
        return (FlowKey(table, priority, ()), None) if complete else None


def _is_clause(body: FlowBody) -> bool:
    return bool(body.actions) and isinstance(body.actions[0], Conjunction)


def matches(match: Match, state: State) -> bool:
    """Whether every term holds; a field the packet does not have is 0."""
    return all(state.get(t.field, 0) & t.mask == t.value for t in match)


class _Run:
    """The walk of one frame."""

    def __init__(self, owner: Interpreter, frame: Frame, conntrack: Conntrack, quoted: Opening | None) -> None:
        self._owner = owner
        self._frame = frame
        self._conntrack = conntrack
        self._quoted = quoted
        self._state = frame_state(frame)
        self._opening: Opening | None = None
        self._result = Result()
        self._queue = 0

    def go(self, tunnel: State) -> Result:
        self._state |= tunnel
        self._table(0)
        return self._result

    def _table(self, number: int) -> None:
        found = self._owner.lookup(number, self._state)
        if found is None:
            return
        key, body = found
        self._result.trail.append(key)
        self._result.cookies.append(body.cookie)
        self._actions(body.actions)

    def _actions(self, actions: Actions) -> None:
        for act in actions:
            self._act(act)

    def _act(self, act: Act) -> None:
        match act:
            case Load(dst, value):
                self._write(dst, value)
            case Move(src, dst):
                self._write(dst, self._read(src))
            case Resubmit(table) | Goto(table):
                self._table(table)
            case Ct():
                self._ct(act)
            case DecTtl():
                self._write(Slice(f.IP_TTL, 0, f.IP_TTL.bits), self._state[f.IP_TTL] - 1)
            case Conjunction():
                pass
            case _:
                self._leave(act)

    def _leave(self, act: Output | OutputReg | Group | SetQueue | Meter) -> None:
        match act:
            case Output(port, _):
                self._output(port)
            case OutputReg(src):
                self._output(self._read(src))
            case Group(number):
                self._result.group = number
                self._result.taken.append(act)
                self._result.left.append(dict(self._state))
            case SetQueue(number):
                self._queue = number
            case Meter(number):
                self._result.metered.append(number)

    def _output(self, port: int) -> None:
        if port == CONTROLLER:
            if self._result.cookies[-1] >> 48 != _SAMPLE:
                self._result.to_controller = True
        elif port == IN_PORT or port != self._frame.in_port:  # OVS never sends back by plain output
            self._result.ports.append(port)
            self._result.taken.append(Output(port))
            self._result.queues.append(self._queue)
            self._result.tunnel = {field: self._state[field] for field in _TUNNEL if field in self._state}
            self._result.left.append(dict(self._state))

    def _ct(self, act: Ct) -> None:
        zone = self._read(act.zone) if isinstance(act.zone, Slice) else act.zone
        if act.nat is not None:
            self._translate(zone, act)
            return
        if act.commit:
            for inner in act.exec:
                self._act(inner)
            if self._opening is not None:
                self._conntrack.commit(zone, self._opening, self._state.get(f.CT_LABEL, 0))
                self._result.committed = self._opening
        if act.table is not None:
            view = self._conntrack.view(zone, self._frame, self._quoted)
            self._opening = view.opening
            self._state[f.CT_STATE] = view.state
            self._state[f.CT_LABEL] = view.label
            self._state.update(_original(view.opening))
            self._table(act.table)

    def _translate(self, zone: int, act: Ct) -> None:
        """The packet itself is rewritten: also what comes behind the action sees it so."""
        chosen = act.nat if act.commit else None
        self._frame, self._quoted, state = self._conntrack.translate(zone, self._frame, self._quoted, chosen)
        rewritten = _ip_state(self._frame)
        self._state |= rewritten | {f.IP_TTL: self._state[f.IP_TTL], f.CT_STATE: state, f.CT_LABEL: 0}
        self._opening = None
        if act.table is not None:
            self._table(act.table)

    def _read(self, where: Slice) -> int:
        return self._state.get(where.field, 0) >> where.offset & (1 << where.bits) - 1

    def _write(self, where: Slice, value: int) -> None:
        before = self._state.get(where.field, 0) & ~where.mask
        self._state[where.field] = before | value << where.offset


def _original(opening: Opening | None) -> State:
    if opening is None:
        return {}
    is_icmp = opening.protocol in REQUESTS
    four = opening.src.version == V4
    return {
        f.CT_NW_SRC if four else f.CT_IPV6_SRC: int(opening.src),
        f.CT_NW_DST if four else f.CT_IPV6_DST: int(opening.dst),
        f.CT_NW_PROTO: opening.protocol,
        f.CT_TP_SRC: (opening.icmp_type if is_icmp else opening.sport) or 0,
        f.CT_TP_DST: (opening.icmp_code if is_icmp else opening.dport) or 0,
    }


def _mac(text: str) -> int:
    return int(text.replace(":", ""), 16)


def frame_state(frame: Frame) -> State:
    """Return the match fields that a frame has."""
    state: State = {
        f.IN_PORT: frame.in_port,
        f.ETH_SRC: _mac(frame.eth_src),
        f.ETH_DST: _mac(frame.eth_dst),
        f.ETH_TYPE: frame.eth_type,
    }
    if frame.vlan is not None:
        state[f.VLAN_VID] = 0x1000 | frame.vlan
    if frame.eth_type == ETH_ARP:
        state.update(_arp_state(frame))
    elif frame.eth_type in {ETH_IPV4, ETH_IPV6} and frame.src is not None and frame.dst is not None:
        state.update(_ip_state(frame))
    return state


def _arp_state(frame: Frame) -> State:
    return {
        f.ARP_OP: frame.arp_op or 0,
        f.ARP_SPA: int(frame.arp_spa or 0),
        f.ARP_TPA: int(frame.arp_tpa or 0),
        f.ARP_SHA: _mac(frame.arp_sha or "0"),
    }


def _ip_state(frame: Frame) -> State:
    four = frame.eth_type == ETH_IPV4
    state: State = {
        f.IPV4_SRC if four else f.IPV6_SRC: int(frame.src or 0),
        f.IPV4_DST if four else f.IPV6_DST: int(frame.dst or 0),
        f.IP_PROTO: frame.protocol or 0,
        f.IP_TTL: frame.ttl,
    }
    if frame.protocol in _PORTS:
        source, destination = _PORTS[frame.protocol]
        state.update({source: frame.sport or 0, destination: frame.dport or 0})
    elif frame.protocol == (ICMP if four else ICMPV6):
        types, codes = (f.ICMPV4_TYPE, f.ICMPV4_CODE) if four else (f.ICMPV6_TYPE, f.ICMPV6_CODE)
        state.update({types: frame.icmp_type or 0, codes: frame.icmp_code or 0})
        if frame.nd_target is not None and not frame.icmp_code:
            state[f.ND_TARGET] = int(frame.nd_target)
            if frame.icmp_type == SOLICITATION:
                state[f.ND_SLL] = _mac(frame.nd_sll or "0")
    return state

"""One connected switch: its ports, the MASTER role, the dump of its flows.

What a switch sends unasked goes to a bounded queue. Nothing here knows Ryu; a `Link` carries the
bytes. Works under plain and under green threads.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import itertools
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVarTuple

from intent.compiler.flow import CONTROLLER, Actions, FlowBody, FlowKey
from intent.compiler.verdict import QUEUE_METERS
from ryu_apps import collecting, timers, wire
from ryu_apps.breath import Breath
from ryu_apps.conversation import Conversation, Exchange, SessionError
from ryu_apps.link import Link
from ryu_apps.wire import Kind
from topology.breathing import Breathe, go_on, paced
from topology.frozen import FrozenMap

log = logging.getLogger("ringfence.session")

PORT_GONE = 1
"""OFPPR_DELETE."""
PORT_DOWN, LINK_DOWN = 1, 1
"""OFPPC_PORT_DOWN, OFPPS_LINK_DOWN."""
STALE = (11, 0)
"""OFPET_ROLE_REQUEST_FAILED, OFPRRFC_STALE."""
ANSWER_S = 10.0
"""Longest wait for an answer to one question."""
DUMP_S = 60.0
MAX_UNASKED = 1024
"""Packet-ins waiting to be looked at; more are dropped and counted."""
MAX_PORTS = 1 << 16
BURSTS, LEAST_BURST = 2, 256
"""Of a queue's meter: half a second's worth, for TCP that lost all it sent is silent for 0.2 s and more, and must not
be held to less than the rate for that; kilobits, 21 frames of 1,500 bytes."""
PIECE = 1024
"""Flows that are thought of before others come first: about 3 ms."""
MANY = 8_192
"""Flows that nobody expected, after which the garbage collector need not look at them."""
ONES = (1 << 64) - 1
Ts = TypeVarTuple("Ts")


class Refusal(SessionError):
    """The switch answered with an error message."""

    def __init__(self, what: str, frame: bytes) -> None:
        error = wire.decode_error(frame)
        self.xid, self.kind, self.code = error.xid, error.kind, error.code
        super().__init__(f"{what} refused with {error.name}")


class StaleGeneration(SessionError):
    """Another controller is master with a higher generation id: this one must not write."""


class Role(enum.Enum):
    """What this controller may do on a switch."""

    NONE = "none"
    MASTER = "master"
    STALE = "stale"


@dataclasses.dataclass(slots=True)
class Dump:
    """What a switch holds, beside a program that it was expected to hold."""

    flows: list[wire.FlowStats]
    """All that could be ours, but those that were recognized."""
    foreign: list[wire.ForeignFlow]
    program: FrozenMap[FlowKey, FlowBody] = dataclasses.field(default_factory=FrozenMap)
    """What was expected."""
    missing: list[FlowKey] = dataclasses.field(default_factory=list)
    """Flows of the program that were not recognized: they are not there, or had to be decoded."""
    counts: Mapping[int, tuple[int, int]] = dataclasses.field(default_factory=dict)
    """Packets and bytes of those that were recognized, together, by cookie."""

    def held(self, now_s: float, breathe: Breathe = go_on) -> FrozenMap[FlowKey, FlowBody]:
        """Return the flows as a program; it shares with the expected one all that is the same."""
        flows = paced(self.flows, breathe)
        decoded = {s.flow.key: timers.from_wire(s.flow.body, s.remaining_s, now_s) for s in flows}
        return self.program.but(decoded, [key for key in paced(self.missing, breathe) if key not in decoded], breathe)


class Listener:
    """What a session tells; each method is called by the receive loop and must not block."""

    def ports_changed(self, session: Session) -> None:
        """Learn that a port came, changed its name or went."""

    def unasked_came(self, session: Session) -> None:
        """Learn that `session.unasked` has a message more."""

    def learned(self, session: Session) -> None:
        """Learn that more is known of what the switch can do."""

    def became_stale(self, session: Session) -> None:
        """Learn that this controller may write to the switch no more."""


class Session:
    """A switch that finished its handshake. Its methods raise Disconnected when it goes away."""

    def __init__(self, link: Link, dpid: int, ports: dict[int, str], listener: Listener | None = None) -> None:
        self.link = link
        self.dpid = dpid
        self.ports = FrozenMap(ports)
        """Names of the ports by number, kept by port status messages."""
        self.dead: frozenset[int] = frozenset()
        """Ports that the switch said are down, or gone."""
        self.exchange = Exchange(link)
        self.role = Role.NONE
        self.connected_at = time.time()
        self.flow_mods = 0
        """Flow modifications sent since the connection began."""
        self.dropped = 0
        """Unasked messages that found their queue full."""
        self.unasked: collections.deque[bytes] = collections.deque()
        self.listener = listener or Listener()
        self.portless: frozenset[int] | None = None
        """Protocols whose ports its conntrack does not keep; None before it was found out."""
        self.option = False
        """Whether we told the switch where to keep our Geneve option."""
        self.option_doubted = True
        """Somebody may have told it otherwise since."""
        self._meters: dict[int, int] | None = None
        """Rate by number, as the switch confirmed; None when it has to be asked."""

    # -- what the connection says ------------------------------------------------------------------

    def feed(self, frame: bytes) -> None:
        """Take one well-formed message; never blocks."""
        kind = frame[1]
        if kind in {Kind.PACKET_IN, Kind.FLOW_REMOVED}:
            self._keep_unasked(frame)
        elif kind == Kind.PORT_STATUS:
            self._port_status(frame)
        elif kind == Kind.ROLE_STATUS:
            if wire.decode_role_reply(frame).role is not wire.Role.MASTER:
                self.become_stale()
        elif not self.exchange.answer(frame) and kind == Kind.ERROR:
            log.debug("%016x: nobody waits for %s", self.dpid, wire.decode_error(frame))

    def _keep_unasked(self, frame: bytes) -> None:
        if len(self.unasked) >= MAX_UNASKED:
            self.dropped += 1
            return
        self.unasked.append(frame)
        self.listener.unasked_came(self)

    def _port_status(self, frame: bytes) -> None:
        reason, port = wire.decode_port_status(frame)
        dead = reason == PORT_GONE or port.config & PORT_DOWN or port.state & LINK_DOWN
        self.dead = self.dead | {port.ofport} if dead and len(self.dead) < MAX_PORTS else self.dead - {port.ofport}
        if reason == PORT_GONE:
            self.ports = self.ports.but(gone=(port.ofport,))
        elif len(self.ports) < MAX_PORTS:
            self.ports = self.ports.but({port.ofport: port.name})
        self.listener.ports_changed(self)

    def close(self) -> None:
        """Wake whoever waits: the connection is gone."""
        self.exchange.close()

    def become_stale(self) -> None:
        """Stop writing for good: another controller took over."""
        if self.role is not Role.STALE:
            self.role = Role.STALE
            self.listener.became_stale(self)

    # -- questions ---------------------------------------------------------------------------------

    def ask(self, request: Callable[[int], bytes], what: str) -> bytes:
        """Return the answer to a question that has one; `request` gets the transaction id.

        Raises:
            SessionError: the switch does not answer, or with an error (Refusal).
        """
        xid = self.exchange.take_xids()
        with Conversation(self.exchange, xid) as talk:
            talk.say(request(xid))
            answer = talk.next(time.monotonic() + ANSWER_S, what)
        if answer[1] == Kind.ERROR:
            raise Refusal(what, answer)
        return answer

    def change(self, encode: Callable[[int, *Ts], bytes], mods: Sequence[tuple[*Ts]], one: str, several: str) -> None:
        """Send what no bundle takes, each mod with a transaction id before it, and return when the switch took all.

        Raises:
            SessionError: it does not answer, or refuses one (Refusal).
        """
        if not mods:
            return
        first = self.exchange.take_xids(len(mods) + 1)
        messages = [encode(xid, *mod) for xid, mod in enumerate(mods, first)]
        with Conversation(self.exchange, first, len(mods) + 1) as talk:
            talk.say(b"".join((*messages, wire.barrier_request(first + len(mods)))))
            answer = talk.next(time.monotonic() + ANSWER_S, several)
        if answer[1] == Kind.ERROR:
            raise Refusal(one, answer)

    def become_master(self, generation: int) -> None:
        """Claim the MASTER role.

        Raises:
            StaleGeneration: a controller with a higher generation has it; this session may not write any more.
            SessionError: the switch does not grant it.
        """
        try:
            answer = self.ask(lambda xid: wire.role_request(xid, wire.Role.MASTER, generation), "role request")
        except Refusal as refusal:
            if (refusal.kind, refusal.code) == STALE:
                self.become_stale()
                raise StaleGeneration(f"generation {generation} is stale: another controller took over") from refusal
            raise
        if wire.decode_role_reply(answer).role is not wire.Role.MASTER:
            raise SessionError("the switch answered the role request with another role: check its OpenFlow version")
        self.role = Role.MASTER

    def ensure_meters(self, wanted: Mapping[int, int]) -> None:
        """Make the meters of these rates that are missing or differ; before flows that use them.

        Rates are in the units of `verdict.meters`.

        Raises:
            SessionError: the switch refuses, or does not answer.
        """
        if not wanted and self._meters == {}:
            return
        held = self._meters if self._meters is not None else self._read_meters()
        differing = {number: rate for number, rate in wanted.items() if held.get(number) != rate}
        mods = [
            (wire.MeterCommand.MODIFY if number in held else wire.MeterCommand.ADD, _spec(number, rate))
            for number, rate in differing.items()
        ]
        self._change_meters(mods)
        self._meters = {**held, **differing}

    def drop_meters(self, wanted: Mapping[int, int]) -> None:
        """Remove every other meter; after the flows that used them."""
        extra = [number for number in self._meters or () if number not in wanted]
        self._change_meters([(wire.MeterCommand.DELETE, wire.MeterSpec(number, 1)) for number in extra])
        self._meters = dict(wanted)

    def _read_meters(self) -> dict[int, int]:
        xid = self.exchange.take_xids()
        held: dict[int, int] = {}
        with Conversation(self.exchange, xid) as talk:
            talk.say(wire.meter_config_request(xid))
            for body in bodies(talk, wire.Multipart.METER_CONFIG, "meters"):
                held |= {number: _rate(spec) for number, spec in wire.decode_meters(body)}
        return held

    def _change_meters(self, mods: Sequence[tuple[wire.MeterCommand, wire.MeterSpec]]) -> None:
        try:
            self.change(wire.meter_mod, mods, "meter", "meters")
        except Refusal:
            self._meters = None
            raise

    def port_stats(self) -> list[wire.PortStats]:
        """Read what every port counted.

        Raises:
            SessionError: it does not answer, or with an error.
        """
        xid = self.exchange.take_xids()
        with Conversation(self.exchange, xid) as talk:
            talk.say(wire.port_stats_request(xid))
            parts = bodies(talk, wire.Multipart.PORT_STATS, "port statistics")
            ports = (port for body in parts for port in wire.decode_port_stats(body))
            return list(itertools.islice(ports, MAX_PORTS))

    def totals(self, cookies: Sequence[int]) -> dict[int, int]:
        """Return the packets that the flows of each cookie counted, together.

        Raises:
            SessionError: it does not answer, or with an error.
        """
        if not cookies:
            return {}
        first, found = self.exchange.take_xids(len(cookies)), dict[int, int]()
        give_up_at = time.monotonic() + DUMP_S
        with Conversation(self.exchange, first, len(cookies)) as talk:
            talk.say(b"".join(wire.aggregate_request(xid, 0xFF, c, ONES) for xid, c in enumerate(cookies, first)))
            while len(found) < len(cookies):
                frame = talk.next(give_up_at, "sums")
                if frame[1] == Kind.ERROR:
                    raise Refusal("sums", frame)
                asked = cookies[int.from_bytes(frame[4:8], "big") - first]
                found[asked] = wire.decode_aggregate(wire.decode_multipart(frame).body).packets
        return found

    def send_packet(self, actions: Actions, frame: bytes) -> None:
        """Let the switch run actions on a frame of ours; nothing confirms it."""
        xid = self.exchange.take_xids()
        self.link.write(wire.packet_out(xid, CONTROLLER, actions, frame))

    def dump(
        self, program: FrozenMap[FlowKey, FlowBody] | None = None, made: Mapping[FlowKey, FlowBody] | None = None
    ) -> Dump:
        """Read every flow of every table, and doubt the meters: who deletes one deletes the flows that use it.

        The flows that the switch probably holds, `program`, are told by their bytes, which is many times faster.
        `made` is the same in the order in which it was compiled, where that is known: neighbours in memory.

        Raises:
            SessionError: it does not answer, or with an error.
        """
        self._meters, self.option_doubted = None, True
        dump = Dump([], [], program or FrozenMap())
        xid = self.exchange.take_xids()
        with Conversation(self.exchange, xid) as talk:
            talk.say(wire.flow_stats_request(xid))
            expected, breathe, seen = self._expected(made or dump.program), Breath(), 0
            for body in bodies(talk, wire.Multipart.FLOW, "flow dump"):
                for flow in paced(wire.decode_unexpected(body, expected, program), breathe):
                    if isinstance(flow, wire.ForeignFlow):
                        dump.foreign.append(flow)
                    else:
                        dump.flows.append(flow)
                time.sleep(0)  # other switches and echoes come first
                if len(dump.flows) + len(dump.foreign) >= seen + MANY:
                    seen = len(dump.flows) + len(dump.foreign)
                    collecting.pass_by()
        dump.missing, dump.counts = expected.missing(), expected.counts
        return dump

    @staticmethod
    def _expected(program: Mapping[FlowKey, FlowBody]) -> wire.Expected:
        """Think of what the switch may say, while it says it and others are served."""
        expected, flows = wire.Expected(), iter(program.items())
        while piece := list(itertools.islice(flows, PIECE)):
            expected.add(piece)
            time.sleep(0)
        return expected


def _rate(spec: wire.MeterSpec | None) -> int:
    """Return the rate of a meter of ours; 0 for one that others made otherwise."""
    if spec is None or spec != _spec(spec.id, spec.rate):
        return 0
    return spec.rate


def _spec(number: int, rate: int) -> wire.MeterSpec:
    if number < QUEUE_METERS:
        return wire.MeterSpec(number, rate, rate)
    burst = max(rate // BURSTS, LEAST_BURST)
    return wire.MeterSpec(number, rate, burst, wire.MeterFlag.KBPS | wire.MeterFlag.BURST | wire.MeterFlag.STATS)


def bodies(talk: Conversation, kind: wire.Multipart, what: str) -> Iterator[bytes]:
    """Yield the bodies of a multipart reply as they come.

    Raises:
        SessionError: the switch does not answer, or with an error.
    """
    give_up_at = time.monotonic() + DUMP_S
    while True:
        frame = talk.next(give_up_at, what)
        if frame[1] == Kind.ERROR:
            raise Refusal(what, frame)
        part = wire.decode_multipart(frame)
        if part.kind == kind:
            yield part.body
        if not part.more:
            return

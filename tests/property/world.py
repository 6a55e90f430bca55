"""A switch in the mind: runs frames through compiled programs and asks the semantics what is right.

Both sides see the same conntrack: the interpreter's table holds attachment numbers, and `Switch` remembers
which attachment each number ever stood for, to tell the semantics in its own words.
"""

from __future__ import annotations

import dataclasses

from intent.clockwork import effective
from intent.compiler import IdMap, allocate, attachment_key, compile_program, cookie, diff
from intent.compiler import fields as f
from intent.compiler.cookie import Kind
from intent.compiler.delta import apply
from intent.compiler.flow import IN_PORT, Program
from intent.compiler.handling import QUEUES
from intent.compiler.interpreter import PORTLESS, Conntrack, Interpreter, Result, View
from intent.compiler.routing import attachment_key as uplink_attachment
from intent.compiler.routing import ways
from intent.compiler.verdict import QUEUE_METERS, Column, meters
from intent.model import Action, Direction, Mode
from intent.semantics import (
    Admitted,
    Audience,
    ByIsolation,
    ByPosture,
    ByRules,
    Reason,
    Ruling,
    Verdict,
    admit,
    aim,
    candidate_set,
    evaluate,
    judge,
)
from tests.property import copies
from tests.property.cases import NOW, OFFSETS, Case
from tests.property.routed_frames import router_of
from topology.model import Location
from topology.packet import Connection, ConnectionRole, Frame, Hop, Opening, Outcome, Tracked


class Switch:
    """One switch that follows a case through its changes by diffs, never from scratch."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.ids = IdMap()
        self.program: Program = {}
        self.conntrack = Conntrack()
        self.attachments: dict[int, str] = {}
        self.judged: Opening | None = None
        self.aimed: Admitted | None = None
        """Where the frame that was asked about last would go."""
        self.clock_s = 0.0
        self.follow(case)

    def follow(self, case: Case) -> None:
        """Bring the program to a case by diff; afterwards it must equal a fresh compile."""
        self.case, self.clock_s = case, self.clock_s + 1
        intents = effective(case.intents, NOW, OFFSETS)
        self.ids = allocate(intents, case.inventory, self.ids, self.clock_s)
        assert IdMap.from_json(self.ids.to_json()) == self.ids
        desired = compile_program(intents, case.inventory, case.dpid, self.ids)
        self.program = apply(self.program, diff(self.program, desired))
        assert self.program == desired
        self.interpreter = Interpreter(self.program)
        for number in self.attachments:
            if self.ids.key_of("attachment", number) is None:  # what comes again has another number: it is another one
                self.attachments[number] = f"gone {number}"
        for endpoint in case.inventory.endpoints.values():
            for address in endpoint.addresses:
                number = self.ids.number("attachment", attachment_key(endpoint, address))
                assert self.attachments.setdefault(number, endpoint.attachment) == endpoint.attachment
        for port in ways(intents, case.inventory.uplinks).ports:
            number = self.ids.number("attachment", uplink_attachment(port))
            assert self.attachments.setdefault(number, port.attachment) == port.attachment

    def expected(self, frame: Frame, quoted: Opening | None = None, arrived: Admitted | None = None) -> Verdict:
        """Ask the semantics; `arrived` is how the sender's switch aimed what came from a tunnel."""
        case = self.case
        self.judged = self.aimed = None
        admitted = arrived or admit(case.intents, case.inventory, frame)
        if isinstance(admitted, Verdict):
            return admitted
        if isinstance(admitted, Audience):
            return evaluate(case.intents, case.inventory, frame, None, now=NOW, offsets=OFFSETS)
        network = admitted.network
        router = router_of(case, network)
        zone = self.ids.number("network", network if router is None else f"router/{router.name}")
        view = self.conntrack.view(zone, frame, quoted)
        tracked = self._tracked(view, network)
        self.judged = judged_as(frame, tracked, network)
        self.aimed = aim(case.intents, case.inventory, frame, (admitted, tracked))
        return evaluate(case.intents, case.inventory, frame, tracked, now=NOW, offsets=OFFSETS, arrived=arrived)

    def actual(self, frame: Frame, quoted: Opening | None = None) -> Result:
        """Ask the compiled program; commits."""
        return self.interpreter.run(frame, self.conntrack, quoted)

    def check(self, frame: Frame, quoted: Opening | None = None) -> Verdict:
        """Assert that program and semantics agree on one frame, its decider included."""
        return self.compare(frame, self.expected(frame, quoted), self.actual(frame, quoted))

    def compare(self, frame: Frame, verdict: Verdict, result: Result) -> Verdict:
        """Assert that what the program did with a frame is what the semantics says."""
        if verdict.copies:
            return copies.compare(self, frame, verdict, result)
        location = verdict.fate.location
        wanted = {
            Outcome.DROP: [],
            Outcome.ANSWER: [IN_PORT],
            Outcome.DELIVER: [self._way_to(location)],
        }[verdict.fate.outcome]
        copied = [port for port in result.ports if port in self._mirrors()]
        assert result.ports == copied + wanted, (verdict, result.trail[-1:], self.story(result))
        self._check_handling(frame, verdict, result, copied)
        if verdict.fate.outcome is Outcome.DELIVER and frame.dpid == self.case.dpid:
            self._check_hop(frame, verdict.fate.hop, result)
        told = verdict.reason is Reason.REJECTED and frame.dpid == self.case.dpid
        kinds = {origin.kind for origin in map(cookie.decode, result.cookies) if origin}
        assert (result.to_controller and Kind.REJECT in kinds) == told or verdict.reason in {Reason.ITSELF, Reason.DHCP}
        assert not result.to_controller or kinds & {Kind.REJECT, Kind.LEARN}
        self._check_deciders(verdict, result)
        self._check_tally(frame, verdict, result)
        return verdict

    def _mirrors(self) -> dict[int, str]:
        ports = self.case.inventory.mirrors
        return {p.location.ofport: p.name for p in ports if p.location.dpid == self.case.dpid}

    def _check_handling(self, frame: Frame, verdict: Verdict, result: Result, copies: list[int]) -> None:
        """What is delivered here is queued, and what came in here copied, as some correct decider wants."""
        location, mirrors = verdict.fate.location, self._mirrors()
        if verdict.fate.outcome is not Outcome.DELIVER or verdict.judgement is None:
            assert not copies or verdict.reason in {Reason.ITSELF, Reason.UNTRANSLATED}
            return
        here = location is not None and location.dpid == self.case.dpid
        came_in, placed = frame.dpid == self.case.dpid, mirrors.values()
        wanted = {
            (h.queue if here else None, h.mirror if came_in and h.mirror in placed else None)
            for h in verdict.judgement.handlings
        }
        queue = self.ids.key_of("queue", result.queues[-1]) if result.queues[-1] else None
        copied = [mirrors[port] for port in copies]
        assert (queue, copied[0] if copied else None) in wanted, (queue, copied, wanted)
        assert len(copied) <= 1
        assert len(result.queues) == 1 or result.queues[0] == 0, "a copy is in no queue"
        ofport = location.ofport if location else 0
        numbers = [QUEUE_METERS + ofport * QUEUES + result.queues[-1]] if queue else []
        assert [m for m in result.metered if m >= QUEUE_METERS] == numbers
        if queue:
            rate = meters(self.program)[numbers[0]]
            assert rate == -(-self.case.intents.queues[queue].max_rate // 1000)

    def _way_to(self, location: Location | None) -> int | None:
        if location is None or location.dpid == self.case.dpid:
            return location and location.ofport
        return self.case.inventory.tunnels[self.case.dpid].ofport

    def _check_hop(self, frame: Frame, hop: Hop | None, result: Result) -> None:
        """A router takes a hop and puts its MACs; nothing else changes the head of a packet."""
        head = hop or Hop(frame.eth_src, frame.eth_dst, frame.ttl)
        left = result.left[-1]
        macs = [left[field].to_bytes(6, "big").hex(":") for field in (f.ETH_SRC, f.ETH_DST)]
        assert [*macs, left.get(f.IP_TTL, frame.ttl)] == [head.eth_src, head.eth_dst, head.ttl]

    def _check_tally(self, frame: Frame, verdict: Verdict, result: Result) -> None:
        """What is observed is counted in exactly one column, and for a rule that is a correct decider."""
        intents = effective(self.case.intents, NOW, OFFSETS)
        observed = {p.name for p in intents.policies.values() if p.mode is Mode.OBSERVE}
        origins = [o for o in map(cookie.decode, result.cookies) if o and o.kind is Kind.TALLY]
        if not observed or verdict.judgement is None:
            # A frame to its own sender, and DHCP that leads to another switch, is judged like any other and then goes
            # nowhere.
            assert not origins or verdict.reason in {Reason.ITSELF, Reason.DHCP}
            return
        opening = self.judged
        assert opening is not None
        would = judge(candidate_set(intents), self.case.inventory, opening, now=NOW, offsets=OFFSETS)
        *by_rule, by_set = origins
        column = Column.of_detail(by_set.detail)
        assert (column.enforced == f.ALLOWED) == (verdict.judgement.verdict is Action.ALLOW)
        assert (column.candidate == f.ALLOWED) == (would.verdict is Action.ALLOW)
        assert {o.detail for o in by_rule} <= {by_set.detail}
        because = would.deciding.because if would.deciding else None
        deciders = {f"{d.policy}/{d.rule}" for d in because.deciders} if isinstance(because, ByRules) else set()
        named = {self.ids.key_of("rule", o.number) for o in by_rule}
        assert len(by_rule) <= 1
        assert named <= {d for d in deciders if d.split("/")[0] in observed}
        if deciders and all(d.split("/")[0] in observed for d in deciders):
            assert named

    def story(self, result: Result) -> list[str]:
        """Return where a frame went, for a failing test's message."""
        return [f"{key.table}:{key.priority}" for key in result.trail]

    def _tracked(self, view: View, network: str) -> Tracked:
        if view.state & f.CS_INV:
            return Tracked(ConnectionRole.INVALID)
        if view.state & f.CS_NEW:
            return Tracked(ConnectionRole.NEW)
        assert view.opening is not None
        opening = dataclasses.replace(view.opening, network=network)
        client, server = view.label & 0xFFFFFFFF, view.label >> 32 & 0xFFFFFFFF
        connection = Connection(opening, self.attachments[client], self.attachments[server])
        if view.state & f.CS_REL:
            return Tracked(ConnectionRole.RELATED, connection)
        return Tracked(ConnectionRole.REPLY if view.state & f.CS_RPL else ConnectionRole.ORIGINAL, connection)

    def _check_deciders(self, verdict: Verdict, result: Result) -> None:
        """What the cookies name must be among the correct deciders."""
        if verdict.judgement is None:
            return
        rulings = {Direction.EGRESS: verdict.judgement.egress, Direction.INGRESS: verdict.judgement.ingress}
        decided: dict[Direction, cookie.Origin] = {}
        for value in result.cookies:
            origin = cookie.decode(value)
            assert origin is not None
            if origin.direction is not None and origin.kind is not Kind.CANDIDATE:
                decided[origin.direction] = origin  # a pass is followed by what decides
        for direction, origin in decided.items():
            ruling = rulings[direction]
            assert ruling is not None
            self.check_decider(origin, ruling)
        judged_last = Direction.EGRESS if verdict.judgement.egress is verdict.judgement.deciding else Direction.INGRESS
        assert judged_last in decided or verdict.judgement.deciding is None

    def check_decider(self, origin: cookie.Origin, ruling: Ruling) -> None:
        match ruling.because:
            case ByRules(_, _, deciders):
                assert origin.kind is Kind.RULE
                assert self.ids.key_of("rule", origin.number) in {f"{d.policy}/{d.rule}" for d in deciders}
            case ByIsolation(tier, _):
                assert origin.kind is Kind.ISOLATION
                assert self.case.intents.tiers[origin.number].name == tier
            case ByPosture(network):
                assert origin.kind is Kind.POSTURE
                assert self.ids.number("network", network) == origin.number


def judged_as(frame: Frame, tracked: Tracked, network: str) -> Opening | None:
    """Return the opening that a frame is judged as, before anyone asks whether it belongs to who is here."""
    if tracked.connection is None or tracked.role is ConnectionRole.ORIGINAL:
        return _own(frame, network)
    opening = tracked.connection.opening
    if opening.protocol in PORTLESS:
        return dataclasses.replace(opening, sport=frame.dport, dport=frame.sport)
    return opening


def _own(frame: Frame, network: str) -> Opening | None:
    if frame.src is None or frame.dst is None or frame.protocol is None:
        return None
    return Opening(
        network,
        frame.src,
        frame.dst,
        frame.protocol,
        frame.sport,
        frame.dport,
        frame.icmp_type,
        frame.icmp_code,
    )

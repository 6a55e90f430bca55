"""A stage for the claims of a page: the semantics says what is right, the compiled switch what happens.

Conntrack and the id map live on while the stage is set anew, as in a switch that gets an update.
"""

import dataclasses
import functools
from datetime import UTC, datetime
from ipaddress import ip_address
from zoneinfo import ZoneInfo

from intent.clockwork import effective, zones
from intent.compiler import IdMap, allocate, compile_program, cookie
from intent.compiler.cookie import Kind
from intent.compiler.interpreter import Conntrack, Interpreter, Result, opening_of
from intent.compiler.verdict import Column
from intent.model import PortRange
from intent.semantics import ByIsolation, ByPosture, ByRules, Judgement, candidate_set, judge
from scripts.example import DPID, Example, read
from tests.unit.docs_kit import Answer, Claim
from topology.model import Endpoint, Inventory, IPAddress
from topology.packet import ETH_IPV4, ETH_IPV6, ICMP, ICMPV6, SCTP, TCP, UDP, Frame, Opening

NOW = datetime(2026, 6, 17, 12, 0, tzinfo=UTC)
"""When claims hold that say no instant: a Wednesday."""
CLIENT_PORT = 40000
FAMILY_OF = {ICMP: 4, ICMPV6: 6}
ANSWERS = {8: 0, 13: 14, 15: 16, 128: 129}
UNREACHABLE = {4: (ICMP, 3), 6: (ICMPV6, 1)}


class Stage:
    """One switch, and the intents and inventory it follows."""

    def __init__(self, example: Example) -> None:
        self.ids = IdMap()
        self.conntrack = Conntrack()
        self.clock_s = 0
        self.set(example, NOW)

    def set(self, example: Example, now: datetime) -> None:
        self.intents, self.inventory = example
        self.now = now
        self.offsets = {zone: now.astimezone(ZoneInfo(zone)).utcoffset() for zone in zones(self.intents)}
        self.clock_s += 1
        in_force = effective(self.intents, now, self.offsets)
        self.ids = allocate(in_force, self.inventory, self.ids, self.clock_s)
        self.interpreter = Interpreter(compile_program(in_force, self.inventory, DPID, self.ids))

    def judge(self, opening: Opening) -> Judgement:
        return judge(self.intents, self.inventory, opening, now=self.now, offsets=self.offsets)

    def would(self, opening: Opening) -> Judgement:
        everything = candidate_set(self.intents)
        return judge(everything, self.inventory, opening, now=self.now, offsets=self.offsets)

    def send(self, frame: Frame, quoted: Opening | None = None) -> Result:
        """Run a frame; the copies that mirrors get are no deliveries."""
        result = self.interpreter.run(frame, self.conntrack, quoted)
        mirrors = {port.location.ofport for port in self.inventory.mirrors}
        result.ports = [port for port in result.ports if port not in mirrors]
        return result

    def answer(self, result: Result) -> Answer:
        """Return what the flows that a frame hit say of its verdict: the last decision is the deciding one."""
        origins = [o for o in map(cookie.decode, result.cookies) if o and o.direction and o.kind is not Kind.CANDIDATE]
        verdict = "allow" if result.ports else "reject" if result.to_controller else "deny"
        if not origins:
            return Answer(verdict, "guard")
        last = origins[-1]
        if last.kind is Kind.POSTURE:
            return Answer(verdict, "posture")
        if last.kind is Kind.ISOLATION:
            return Answer(verdict, "isolated")
        return Answer(verdict, str(self.ids.key_of("rule", last.number)).split("/")[0])


def reason(judgement: Judgement) -> Answer:
    """Say a judgement in the words of a page."""
    assert judgement.deciding
    match judgement.deciding.because:
        case ByPosture():
            why = "posture"
        case ByIsolation(_, policies):
            why = f"isolated by {', '.join(sorted(policies))}"
        case ByRules(_, _, deciders):
            why = ", ".join(sorted({d.policy for d in deciders}))
    return Answer(judgement.verdict.value, why)


# -- who and what ---------------------------------------------------------------------------------


def openings(claim: Claim, inventory: Inventory) -> list[Opening]:
    """Return the openings a claim speaks of: one for each address family that both sides and the service have."""
    sides = [_addresses(inventory, word) for word in (claim.src, claim.dst)]
    only = FAMILY_OF.get(claim.match.protocol or 0)
    versions = [v for v in (4, 6) if all(v in side for side in sides) and only in {None, v}]
    assert versions, f"{claim.text}: the two have no address family in common"
    return [_opening(claim, inventory, sides[0][v], sides[1][v]) for v in versions]


def _addresses(inventory: Inventory, word: str) -> dict[int, IPAddress]:
    if word in inventory.endpoints:
        return {a.version: a for a in inventory.endpoints[word].addresses}
    address = ip_address(word)
    return {address.version: address}


def _opening(claim: Claim, inventory: Inventory, src: IPAddress, dst: IPAddress) -> Opening:
    here = holder(inventory, src) or holder(inventory, dst)
    assert here, f"{claim.text}: one side must be an endpoint"
    match = claim.match
    assert match.protocol is not None, f"{claim.text}: name a protocol"
    opening = Opening(here.network, src, dst, match.protocol)
    if match.protocol in {TCP, UDP, SCTP}:
        assert isinstance(match.port, PortRange), f"{claim.text}: name a port number"
        return dataclasses.replace(opening, sport=CLIENT_PORT, dport=match.port.first)
    if match.protocol in FAMILY_OF:
        assert match.icmp_type is not None, f"{claim.text}: name an ICMP type"
        return dataclasses.replace(opening, icmp_type=match.icmp_type, icmp_code=0)
    return opening


def holder(inventory: Inventory, address: IPAddress) -> Endpoint | None:
    return next((e for e in inventory.endpoints.values() if address in e.addresses), None)


# -- frames ---------------------------------------------------------------------------------------


def forward(client: Endpoint, server: Endpoint, opening: Opening) -> Frame:
    return Frame(
        DPID,
        client.location.ofport,
        client.mac,
        server.mac,
        ETH_IPV4 if opening.src.version == 4 else ETH_IPV6,
        src=opening.src,
        dst=opening.dst,
        protocol=opening.protocol,
        sport=opening.sport,
        dport=opening.dport,
        icmp_type=opening.icmp_type,
        icmp_code=opening.icmp_code,
    )


def backward(client: Endpoint, server: Endpoint, opening: Opening) -> Frame:
    frame = forward(server, client, opening)
    kind = None if opening.icmp_type is None else ANSWERS[opening.icmp_type]
    ports = {"sport": opening.dport, "dport": opening.sport}
    return dataclasses.replace(frame, src=opening.dst, dst=opening.src, icmp_type=kind, **ports)


def error(sender: Endpoint, receiver: Endpoint, src: IPAddress, dst: IPAddress) -> Frame:
    protocol, kind = UNREACHABLE[src.version]
    return forward(sender, receiver, Opening("", src, dst, protocol, icmp_type=kind, icmp_code=1))


# -- the check ------------------------------------------------------------------------------------


def check(texts: tuple[str, ...], place: str, claim: Claim) -> None:
    """Assert a claim: by the semantics, by packets through the compiled switch, and on live connections."""
    example = _example(texts, place)
    changed = _changed(example, claim)
    for opening in openings(claim, example.inventory):
        stage = Stage(example)
        lived = claim.changes and _open(stage, opening)
        if claim.at or changed != example:
            stage.set(changed, claim.at or NOW)
        assert reason(stage.judge(opening)) == claim.answer, (place, claim.text)
        if claim.would:
            assert reason(stage.would(opening)) == claim.would, (place, claim.text)
        parties = [holder(changed.inventory, address) for address in (opening.src, opening.dst)]
        if None not in parties:  # nothing gets to or from the world yet; what policy says of it stands
            _check_packets(stage, claim, opening, lived=lived)


@functools.cache
def _example(texts: tuple[str, ...], place: str) -> Example:
    return read(*texts, source=place)


def _changed(example: Example, claim: Claim) -> Example:
    intents, inventory = example
    if claim.gone:
        assert claim.gone in intents.policies, f"{claim.text}: no such policy"
        kept = {name: p for name, p in intents.policies.items() if name != claim.gone}
        intents = dataclasses.replace(intents, policies=kept)
    if claim.name:
        endpoint = inventory.endpoints[claim.name]
        labelled = dataclasses.replace(endpoint, labels={**endpoint.labels, **claim.labels})
        inventory = dataclasses.replace(inventory, endpoints={**inventory.endpoints, claim.name: labelled})
    return Example(intents, inventory)


def _ends(stage: Stage, opening: Opening) -> tuple[Endpoint, Endpoint]:
    client, server = (holder(stage.inventory, address) for address in (opening.src, opening.dst))
    assert client
    assert server
    return client, server


def _open(stage: Stage, opening: Opening) -> bool:
    """Open the connection in the example as it stands; False if that is not allowed."""
    client, server = _ends(stage, opening)
    return bool(stage.send(forward(client, server, opening)).ports)


def _check_packets(stage: Stage, claim: Claim, opening: Opening, *, lived: bool) -> None:
    client, server = _ends(stage, opening)
    passes = claim.answer.verdict == "allow"
    there, back = forward(client, server, opening), backward(client, server, opening)
    if lived:  # the server speaks first: nothing but the change can have stopped it
        assert bool(stage.send(back).ports) == passes, (claim.text, "the connection that was open")
        assert bool(stage.send(there).ports) == passes, (claim.text, "the connection that was open")
        stage.conntrack = Conntrack()
    result = stage.send(there)
    assert result.ports == ([server.location.ofport] if passes else []), claim.text
    assert _same(stage.answer(result), claim.answer), (claim.text, stage.answer(result))
    if claim.would:
        assert _tallied(result) == (passes, claim.would.verdict == "allow"), claim.text
    if passes:
        assert stage.send(back).ports == [client.location.ofport], claim.text
    if claim.is_error:
        quoted = opening_of(there)
        for frame in (error(server, client, opening.dst, opening.src), error(client, server, opening.src, opening.dst)):
            assert bool(stage.send(frame, quoted).ports) == passes, claim.text


def _same(actual: Answer, claimed: Answer) -> bool:
    """Of several correct deciders the switch names one; of an isolation, the tier."""
    named = claimed.why.split(", ")
    is_isolation = claimed.why.startswith("isolated by ") and actual.why == "isolated"
    return actual.verdict == claimed.verdict and (is_isolation or actual.why in named)


def _tallied(result: Result) -> tuple[bool, bool]:
    origins = [o for o in map(cookie.decode, result.cookies) if o and o.kind is Kind.TALLY]
    column = Column.of_detail(origins[-1].detail)
    return column.enforced == 1, column.candidate == 1

"""A figure counts only if the switch does what the semantics says: thousands of sampled openings and replies.

Half of the openings are drawn from a rule of the workload, so that many are allowed; the others are any to any.
Open vSwitch's own `ofproto/trace` gives what a bridge does; `intent.semantics` what it should.
"""

from __future__ import annotations

import dataclasses
import functools
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

from benchmarks.harness import VERDICTS
from benchmarks.switches import Control
from benchmarks.workloads import NETWORK, SERVICE_PORTS, Document, World
from intent.compiler import IdMap, attachment_key
from intent.model import Intents
from intent.semantics import evaluate
from topology.model import Endpoint, Inventory
from topology.packet import ETH_IPV4, TCP, UDP, Connection, ConnectionRole, Frame, Opening, Outcome, Tracked

NOW = datetime(2026, 1, 1, tzinfo=UTC)
"""No policy of a workload has a time."""
CLIENT_PORT = 40000
REPLY_SHARE = 0.2


class DisagreementError(AssertionError):
    """A switch does something else than the semantics says; the row does not count."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One packet, what conntrack knows of it, and where it must leave (None: nowhere)."""

    frame: Frame
    client: Endpoint
    server: Endpoint
    is_reply: bool
    port: int | None


@functools.lru_cache(maxsize=4)
def samples(world: World, replies: float = REPLY_SHARE, count: int = VERDICTS) -> tuple[Sample, ...]:
    """Return packets with their verdicts; a share of them are replies on a connection that was allowed to open."""
    chance = random.Random(1)
    everybody = list(world.inventory.endpoints.values())
    draw, judge = _Draw(world, everybody, chance), _Judge(world)
    found = (draw.by_rule() if number % 2 else draw.any() for number in range(count))
    return tuple(judge.sample(*ends, is_reply=chance.random() < replies) for ends in found)


class _Draw:
    """Draws client, server, protocol and port."""

    def __init__(self, world: World, everybody: Sequence[Endpoint], chance: random.Random) -> None:
        self._world, self._everybody, self._chance = world, everybody, chance
        self._rules = [rule for policy in world.policies.values() for rule in policy["rules"]]
        self._ports = sorted({_port(s) for rule in self._rules for s in rule["services"]} | set(SERVICE_PORTS[:2]))
        self._known: dict[str, list[Endpoint]] = {}

    def any(self) -> tuple[Endpoint, Endpoint, int, int]:
        client, server = self._chance.sample(self._everybody, 2)
        return client, server, self._chance.choice((TCP, TCP, TCP, UDP)), self._chance.choice(self._ports)

    def by_rule(self) -> tuple[Endpoint, Endpoint, int, int]:
        rule = self._chance.choice(self._rules)
        clients, servers = self._peers(rule.get("from")), self._peers(rule["to"])
        port = _port(self._chance.choice(rule["services"]))
        if not clients or not servers:
            return self.any()
        client, server = self._chance.choice(clients), self._chance.choice(servers)
        return (client, server, TCP, port) if client is not server else self.any()

    def _peers(self, peers: Sequence[Document] | None) -> Sequence[Endpoint]:
        if peers is None:
            return self._everybody
        key = repr(peers)
        if key not in self._known:
            self._known[key] = [e for e in self._everybody if any(_is(self._world, p, e) for p in peers)]
        return self._known[key]


def _port(service: str) -> int:
    return int(service.partition("/")[2])


def _is(world: World, peer: Document, endpoint: Endpoint) -> bool:
    """Only to draw well: what is right is for `evaluate` to say."""
    if "group" in peer:
        return any(_is(world, member, endpoint) for member in world.groups[peer["group"]]["members"])
    if "cidr" in peer:
        return endpoint.addresses[0] in ip_network(peer["cidr"])
    return all(endpoint.labels.get(key) == value for key, value in peer["labels"].items())


class _Judge:
    """Asks the semantics, with what cannot matter left out: it looks at every policy and endpoint it is given.

    Rules of a workload allow or deny TCP ports, so a policy that names none of a packet's ports cannot match it, nor
    can one whose rules are to nobody who is its server; and who is neither its sender nor its receiver has no part.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._speaking: dict[int | None, set[str]] = {}
        for name, policy in world.policies.items():
            for rule in policy["rules"]:
                for service in rule["services"]:
                    self._speaking.setdefault(_port(service), set()).add(name)
        self._to: dict[str, set[str]] = {}
        """Policies by the name of an endpoint that a rule of theirs is to."""
        self._labelled: dict[tuple[str, str], set[str]] = {}
        for endpoint in world.inventory.endpoints.values():
            for label in endpoint.labels.items():
                self._labelled.setdefault(label, set()).add(endpoint.name)
        for name, policy in world.policies.items():
            for member in {m for rule in policy["rules"] for peer in rule["to"] for m in self._members(peer)}:
                self._to.setdefault(member, set()).add(name)
        self._intents: dict[frozenset[str], Intents] = {}

    def _members(self, peer: Document) -> set[str]:
        if "group" in peer:
            return set().union(*(self._members(member) for member in self._world.groups[peer["group"]]["members"]))
        return set.intersection(*(self._labelled.get(label, set()) for label in peer["labels"].items()))

    def sample(self, client: Endpoint, server: Endpoint, protocol: int, port: int, *, is_reply: bool) -> Sample:
        frame = _frame(self._world.dpid, (client, server), protocol, (CLIENT_PORT, port))
        tracked = Tracked(ConnectionRole.NEW)
        if is_reply:
            opening = Opening(NETWORK, client.addresses[0], server.addresses[0], protocol, CLIENT_PORT, port)
            tracked = Tracked(ConnectionRole.REPLY, Connection(opening, client.attachment, server.attachment))
            frame = _frame(self._world.dpid, (server, client), protocol, (port, CLIENT_PORT))
        both = Inventory({e.name: e for e in (client, server)})
        fate = evaluate(self._about(port if protocol == TCP else None, server.name), both, frame, tracked, now=NOW).fate
        out = fate.location.ofport if fate.outcome is Outcome.DELIVER and fate.location else None
        return Sample(frame, client, server, is_reply, out)

    def _about(self, port: int | None, server: str) -> Intents:
        names = frozenset(self._speaking.get(port, set()) & self._to.get(server, set()))
        if names not in self._intents:
            whole = self._world.intents
            policies = {name: policy for name, policy in whole.policies.items() if name in names}
            self._intents[names] = dataclasses.replace(whole, policies=policies)
        return self._intents[names]


def _frame(dpid: int, ends: tuple[Endpoint, Endpoint], protocol: int, ports: tuple[int, int]) -> Frame:
    sender, receiver = ends
    return Frame(
        dpid=dpid,
        in_port=sender.location.ofport,
        eth_src=sender.mac,
        eth_dst=receiver.mac,
        eth_type=ETH_IPV4,
        src=sender.addresses[0],
        dst=receiver.addresses[0],
        protocol=protocol,
        sport=ports[0],
        dport=ports[1],
    )


def flow_text(frame: Frame) -> str:
    """Return a frame as `ofproto/trace` takes it."""
    name = {TCP: "tcp", UDP: "udp"}[frame.protocol or 0]
    return (
        f"in_port={frame.in_port},{name},dl_src={frame.eth_src},dl_dst={frame.eth_dst},nw_src={frame.src},"
        f"nw_dst={frame.dst},nw_ttl=64,{name}_src={frame.sport},{name}_dst={frame.dport}"
    )


def check_ours(wanted: Sequence[Sample], control: Control, bridge: str, ids: IdMap) -> int:
    """Trace every sample through our bridge; return how many agreed, which is all of them.

    Raises:
        DisagreementError: with the first that did not.
    """
    attachments = ids.spaces["attachment"].live
    for sample in wanted:
        options: list[str] = []
        flow = flow_text(sample.frame)
        if sample.is_reply:
            ends = [attachments[attachment_key(e, e.addresses[0])] for e in (sample.client, sample.server)]
            flow += f",ct_label={ends[0] | ends[1] << 32:#x}"
            options = ["--ct-next", "trk,est,rpl"]
        _compare(sample, control.trace(bridge, flow, *options))
    return len(wanted)


def check_openings(wanted: Sequence[Sample], control: Control, bridge: str) -> int:
    """Trace the openings among the samples through any bridge; return how many agreed: all of them.

    Raises:
        DisagreementError: with the first that did not.
    """
    openings = [sample for sample in wanted if not sample.is_reply]
    for sample in openings:
        _compare(sample, control.trace(bridge, flow_text(sample.frame)))
    return len(openings)


def _compare(sample: Sample, ports: set[int]) -> None:
    wanted = set() if sample.port is None else {sample.port}
    if ports != wanted:
        raise DisagreementError(f"{sample.frame}: leaves at {ports or 'no port'}, must leave at {wanted or 'no port'}")


def shares(wanted: Sequence[Sample]) -> Iterator[tuple[str, Any]]:
    """Yield how many are allowed, and how many are replies: a sample that denies everything proves little."""
    yield "allowed", sum(sample.port is not None for sample in wanted)
    yield "replies", sum(sample.is_reply for sample in wanted)

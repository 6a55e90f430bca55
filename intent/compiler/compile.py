"""The two steps of the compiler: `allocate` gives everything its number, `compile_program` makes the flows.

Between them the id map is persisted, so no switch ever holds a number that a restart would forget.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from types import MappingProxyType

from intent.compiler import (
    beyond,
    distant,
    endpoints,
    fabric,
    handling,
    multicast,
    pipeline,
    resolve,
    routing,
    tunnels,
)
from intent.compiler.endpoints import Numbers
from intent.compiler.fabric import Toward
from intent.compiler.flow import Flow, Program
from intent.compiler.handling import Care, Tended
from intent.compiler.ids import IdMap
from intent.compiler.policy import PolicyTables, conjunction_key, expires_at, rule_key
from intent.compiler.resolve import CompileError, Identity, Membership, Vocabulary
from intent.compiler.routing import Via
from intent.compiler.seats import TIMED
from intent.compiler.tables import Lane, Table
from intent.compiler.tunnels import Path
from intent.compiler.verdict import Verdicts, reject_flows, silent_flow, tally_flows
from intent.model import Action, Intents, Mode
from topology.model import Endpoint, Inventory, IPAddress, UnaddressedPort


def attachment_key(endpoint: Endpoint, address: IPAddress) -> str:
    """Return the name of one address of one attachment in the id map."""
    return f"{endpoint.attachment}@{endpoint.network}/{address}"


def allocate(intents: Intents, inventory: Inventory, ids: IdMap, now_s: float) -> IdMap:
    """Return the id map with a number for all that these intents and this inventory need, and no more.

    Freed numbers rest from `now_s`, in seconds since the epoch.

    Raises:
        OutOfNumbers: a space is used up.
    """
    intents = resolve.candidate(intents)
    words = resolve.vocabulary(intents)
    here = [(e, a) for e in inventory.endpoints.values() for a in e.addresses]
    ways = routing.ways(intents, inventory.uplinks)
    identities = {words.identity(e, a) for e, a in here}
    if ways.uplinks:
        identities |= set(words.world)
    members = Membership(intents, identities)
    ids = ids.with_space("network", (*intents.networks, *ways.keys), now_s)
    ids = ids.with_space("identity", (i.key for i in identities), now_s)
    attachments = [attachment_key(e, a) for e, a in here] + [routing.attachment_key(p) for p in ways.ports]
    ids = ids.with_space("attachment", attachments, now_s)
    policies = intents.policies.values()
    ids = ids.with_space("rule", (rule_key(p, r) for p in policies for r in p.rules), now_s)
    for space in ("queue", "mirror"):
        ids = ids.with_space(space, handling.named(policies, space), now_s)
    parts = {
        (p.name, r.name): [conjunction_key(p, r, v) for v in resolve.variants(intents, members, p, r)]
        for p in policies
        for r in p.rules
    }
    ids = ids.with_space("conjunction", itertools.chain.from_iterable(parts.values()), now_s)
    wanted: dict[str, dict[int, dict[str, list[str]]]] = {tier.name: {} for tier in intents.tiers}
    for policy in policies:
        band = wanted.setdefault(policy.tier, {}).setdefault(policy.order, {})
        for rule in policy.rules:
            if expires_at(policy, rule):
                band.setdefault(TIMED, []).append(rule_key(policy, rule))
            else:
                band.setdefault(rule.action, []).extend(parts[policy.name, rule.name])
    return ids.with_bands(wanted, now_s)


def compile_program(intents: Intents, inventory: Inventory, dpid: int, ids: IdMap) -> Program:
    """Return every flow that one switch must hold.

    Raises:
        CompileError: a bound of the switch would be passed; the message names it.
        KeyError: `ids` was not allocated for these intents and this inventory.
    """
    program: Program = {}
    for key, body in _Switch(intents, inventory, dpid, ids).flows():
        if key in program and program[key] != body:
            raise CompileError(f"two flows for one match in table {key.table}, priority {key.priority}: {key.match}")
        program[key] = body
    return program


class _Switch:
    """One switch's part of intents and inventory."""

    def __init__(self, intents: Intents, inventory: Inventory, dpid: int, ids: IdMap) -> None:
        self._intents = intents = resolve.candidate(intents)
        self._ids = ids
        self._dpid = dpid
        self._inventory = inventory
        self._local = inventory.on_switch(dpid)
        self._networks = {e.network for e in self._local}
        self._ways = ways = routing.ways(intents, inventory.uplinks)
        self._domains = ways.on_switch(dpid, self._networks)
        self._remote = [e for e in inventory.endpoints.values() if self._is_reached(e)]
        self._exits = list(distant.exits(ways, dpid, self._networks, self._path, inventory.away))
        words: Vocabulary = resolve.vocabulary(intents)
        self._world = words.world if dpid in ways.uplinks or self._exits else []
        self._identity: dict[tuple[str, IPAddress], Identity] = {
            (e.name, a): words.identity(e, a) for e in (*self._local, *self._remote) for a in e.addresses
        }

    def _is_reached(self, endpoint: Endpoint) -> bool:
        """Whether a way leads to it, and somebody here is in its network, or in another one of its router."""
        path = self._path(endpoint.location.dpid)
        if path is not None and endpoint.network in self._networks:
            return True
        return isinstance(path, Path) and self._ways.domains.get(endpoint.network) in self._domains

    def flows(self) -> Iterator[Flow]:
        observing = resolve.observes(self._intents)
        yield from pipeline.static_flows(Table.CANDIDATE_EGRESS if observing else Table.EGRESS)
        for endpoint in self._local:
            yield from self._endpoint(endpoint)
        yield from self._remotes()
        yield from self._multicast(observing=observing)
        yield from self._routing()
        yield from self._services()
        yield from self._policies(observing=observing)

    def _policies(self, *, observing: bool) -> Iterator[Flow]:
        """Yield the enforced lane, and the candidate lane with its tally if anything is observed."""
        members = Membership(self._intents, sorted({*self._identity.values(), *self._world}, key=lambda i: i.key))
        enforced = resolve.enforced(self._intents)
        yield from PolicyTables(enforced, members, self._ids, Verdicts(Lane.ENFORCED, observing)).flows()
        if observing:
            yield from PolicyTables(self._intents, members, self._ids, Verdicts(Lane.CANDIDATE)).flows()
            yield from tally_flows(self._observed())
        rejecting = any(r.action is Action.REJECT for p in enforced.policies.values() for r in p.rules)
        if rejecting:
            yield from reject_flows((), observing=observing)
        elif observing:
            yield silent_flow()
        yield from self._handling(enforced, rejecting=rejecting, observing=observing)

    def _handling(self, enforced: Intents, *, rejecting: bool, observing: bool) -> Iterator[Flow]:
        """Yield what ports have for rules that reject, or name a queue or a mirror."""
        number = self._ids.number
        policies = enforced.policies.values()
        queues, mirrors = handling.named(policies, "queue"), handling.named(policies, "mirror")
        if queues or mirrors:
            yield handling.delivery_flow()
        care = Care(rejecting, observing, handling.shapes(enforced.queues, queues, number))
        uplinks = self._ways.uplinks.get(self._dpid, ())
        ports = {Tended(e.location.ofport) for e in self._local}
        ports |= {routing.tended(port, number) for port in uplinks}
        for port in sorted(ports):
            yield from care.flows(port)
        here = (port for port in self._inventory.mirrors if port.location.dpid == self._dpid)
        yield from handling.mirror_flows(here, mirrors, number)

    def _observed(self) -> Iterator[tuple[int, Action]]:
        for policy in self._intents.policies.values():
            if policy.mode is Mode.OBSERVE:
                for rule in policy.rules:
                    if rule.action is not Action.PASS:
                        yield self._ids.number("rule", rule_key(policy, rule)), rule.action

    def _numbers(self, endpoint: Endpoint, address: IPAddress) -> Numbers:
        return Numbers(
            network=self._ids.number("network", endpoint.network),
            identity=self._ids.number("identity", self._identity[endpoint.name, address].key),
            attachment=self._ids.number("attachment", attachment_key(endpoint, address)),
            via=self._via(endpoint.network),
        )

    def _via(self, network: str) -> Via | None:
        domain = self._ways.domains.get(network)
        return None if domain is None else Via(self._ids.number("network", domain.key), domain.mac)

    def _endpoint(self, endpoint: Endpoint) -> Iterator[Flow]:
        for address in endpoint.addresses:
            yield from endpoints.address_flows(endpoint, address, self._numbers(endpoint, address))
            if self._is_wired:
                yield from fabric.local_flows(endpoint, address, self._numbers(endpoint, address))
        if endpoints.has_ipv6(endpoint):
            yield endpoints.solicit_flow(endpoint, self._numbers(endpoint, endpoint.addresses[-1]))

    def _remotes(self) -> Iterator[Flow]:
        """Yield the guards of tunnels and wires, the ways from and to endpoints of other switches, and answers."""
        here = self._inventory.tunnels.get(self._dpid)
        if here is not None:
            yield tunnels.tunnel_flow(here)
        yield from fabric.wiring(self._inventory.fabric, self._dpid).flows
        for endpoint in self._remote:
            path = self._path(endpoint.location.dpid)
            for address in endpoint.addresses:
                numbers = self._numbers(endpoint, address)
                if isinstance(path, Path):
                    yield from distant.hop_flows(endpoint, address, numbers, path)
                if endpoint.network in self._networks:
                    yield endpoints.answer_flow(endpoint, address, numbers.network)
                    yield from _remote_flows(endpoint, address, numbers, path)

    def _path(self, there: int) -> tunnels.Path | fabric.Toward | None:
        wires, ends = self._inventory.fabric, self._inventory.tunnels
        if wires.joins(self._dpid, there):
            return fabric.Toward(wires.numbers[there])
        return tunnels.Path(ends[self._dpid], ends[there]) if self._inventory.linked(self._dpid, there) else None

    def _multicast(self, *, observing: bool) -> Iterator[Flow]:
        """Yield the flows of the multicast groups of networks that are here."""
        judge = Table.CANDIDATE_EGRESS if observing else Table.EGRESS
        for name in sorted(self._networks):
            everyone = [e for e in self._inventory.endpoints.values() if e.network == name]
            for group in self._intents.networks[name].multicast:
                found = multicast.members(group, everyone)
                heard = [(m, self._number(m)) for m in found if (m.endpoint.name, m.address) in self._identity]
                number, via = self._ids.number("network", name), self._via(name)
                here = multicast.Here(number, Numbers(number, 0, 0, via).place[0], judge, self._is_wired)
                yield from multicast.group_flows(group, here, multicast.seats(self._dpid, heard, self._path))

    def _number(self, member: multicast.Member) -> int:
        return self._ids.number("identity", self._identity[member.endpoint.name, member.address].key)

    @property
    def _is_wired(self) -> bool:
        return self._dpid in self._inventory.fabric.wired

    def _routing(self) -> Iterator[Flow]:
        """Yield the flows of routers whose networks are here, and of uplinks."""
        ids, ways = self._ids, self._ways
        for name in sorted({e.network for e in self._local}):
            leg, domain = ways.leg(name), ways.domains.get(name)
            if leg is not None and domain is not None:
                numbers = ids.number("network", domain.key), ids.number("network", name)
                yield from routing.leg_flows(domain, leg, *numbers)
        for port in ways.uplinks.get(self._dpid, ()):
            yield from routing.port_flows(ways, port, ids.number)
            tunnel = self._inventory.tunnels.get(self._dpid)
            if tunnel is not None:
                yield from distant.entry_flows(ways, port, ids.number, tunnel)
        for way in self._exits:
            yield from distant.exit_flows(way, ids.number)
        for identity in self._world:
            yield from beyond.prefix_flows(identity.atom, ids.number("identity", identity.key))

    def _services(self) -> Iterator[Flow]:
        """Yield what networks offer beside policy: DHCP and learning."""
        unaddressed = [p for p in self._inventory.unaddressed if p.location.dpid == self._dpid]
        by_name = MappingProxyType({e.name: e for e in self._local})
        for name, network in sorted(self._intents.networks.items()):
            members: list[Endpoint | UnaddressedPort] = []
            members += [e for e in self._local if e.network == name]
            members += [p for p in unaddressed if p.network == name]
            server = by_name.get(network.dhcp_server or "")
            if server is not None and server.network == name:
                yield from endpoints.dhcp_client_flows(members, server)
                yield from endpoints.dhcp_server_flows(server, self._attachments(server))
                if "dhcp" in network.learn:
                    yield from endpoints.dhcp_answer_flows(members, server)
            if network.learn:
                for port in members:
                    yield from endpoints.learn_flows(port, network)

    def _attachments(self, endpoint: Endpoint) -> Iterable[int]:
        return [self._ids.number("attachment", attachment_key(endpoint, a)) for a in endpoint.addresses]


def _remote_flows(
    endpoint: Endpoint, address: IPAddress, numbers: Numbers, path: Path | Toward | None
) -> Iterator[Flow]:
    match path:
        case Path():
            yield from tunnels.remote_flows(endpoint, address, numbers, path)
        case Toward():
            yield from fabric.remote_flows(endpoint, address, numbers, path)
        case None:
            pass

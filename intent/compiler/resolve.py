"""From names and selectors to identities.

An *identity* is what policy can tell apart: network, the labels and named ports that something in force reads,
and the CIDR atom of the address. Endpoints that differ only in what nobody reads share one, so an
endpoint that joins a known identity changes no policy flow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple, TypeAlias

from intent.compiler.fields import WORLD_BIT
from intent.model import (
    CidrPeer,
    EndpointPeer,
    GroupPeer,
    Intents,
    IPNetwork,
    Mode,
    Operator,
    Peer,
    Policy,
    PortName,
    PortRange,
    Requirement,
    Rule,
    Selector,
    SelectorPeer,
    ServiceMatch,
    ServiceName,
    WorldPeer,
)
from topology.model import NAME_LABEL, NETWORK_LABEL, Endpoint, IPAddress, NamedPort

IPV4 = 4


class CompileError(Exception):
    """The intents cannot be lowered; nothing was changed. The message names the place and the remedy."""


class Identity(NamedTuple):
    """All that policy can tell about one address of an endpoint."""

    network: str
    labels: tuple[tuple[str, str], ...]
    """Of the keys that are read, sorted."""
    ports: tuple[NamedPort, ...]
    """Of the names that are read, sorted."""
    atom: IPNetwork | None
    """The longest prefix in force that holds the address."""

    @property
    def is_world(self) -> bool:
        """Whether it is that of addresses which belong to no endpoint."""
        return not self.network

    @property
    def key(self) -> str:
        """Stable name in the id map."""
        labels = ",".join([f"{k}={v}" for k, v in self.labels])
        ports = ",".join([f"{p.name}={p.protocol}/{p.number}" for p in self.ports]) if self.ports else ""
        return f"{self.network}|{labels}|{ports}|{'' if self.atom is None else _text(self.atom)}"


_text = lru_cache(maxsize=16384)(str)
"""Of atoms: many identities have one."""


def world(atom: IPNetwork | None) -> Identity:
    """Return what policy can tell about the addresses of an atom that belong to no endpoint."""
    return Identity("", (), (), atom)


def on_wire(identity: Identity, number: int) -> int:
    """Return what stands for an identity in registers."""
    return number | WORLD_BIT if identity.is_world else number


def enforced(intents: Intents) -> Intents:
    """Return the intents with only the policies that decide."""
    return _with_modes(intents, {Mode.ENFORCE})


def candidate(intents: Intents) -> Intents:
    """Return the intents with the policies of the candidate set: those that decide and those that are observed."""
    return _with_modes(intents, {Mode.ENFORCE, Mode.OBSERVE})


def _with_modes(intents: Intents, modes: set[Mode]) -> Intents:
    kept = {name: policy for name, policy in sorted(intents.policies.items()) if policy.mode in modes}
    return dataclasses.replace(intents, policies=kept)


def observes(intents: Intents) -> bool:
    """Whether any policy is in `observe`."""
    return any(p.mode is Mode.OBSERVE for p in intents.policies.values())


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """Everything that policies read of an endpoint."""

    label_keys: frozenset[str]
    endpoint_names: frozenset[str]
    port_names: frozenset[str]
    prefixes: frozenset[IPNetwork]

    @cached_property
    def lengths(self) -> Mapping[int, tuple[int, ...]]:
        """Prefix lengths in force by IP version, longest first."""
        return {v: tuple(sorted({p.prefixlen for p in self.prefixes if p.version == v}, reverse=True)) for v in (4, 6)}

    def atom(self, address: IPAddress) -> IPNetwork | None:
        """Return the longest prefix in force that holds the address."""
        bits = address.max_prefixlen
        for length in self.lengths[address.version]:
            base = int(address) >> (bits - length) << (bits - length)
            prefix = IPv4Network((base, length)) if address.version == IPV4 else IPv6Network((base, length))
            if prefix in self.prefixes:
                return prefix
        return None

    @property
    def world(self) -> list[Identity]:
        """Return the identities of the world: one for each prefix in force, and that of all other addresses."""
        return [world(None), *map(world, self.prefixes)]

    def identity(self, endpoint: Endpoint, address: IPAddress) -> Identity:
        """Return what policy can tell about one address of an endpoint."""
        labels = tuple(
            sorted(
                (k, v)
                for k, v in endpoint.labels.items()
                if k in self.label_keys or (k == NAME_LABEL and v in self.endpoint_names)
            )
        )
        ports = tuple(sorted(p for p in endpoint.ports if p.name in self.port_names))
        return Identity(endpoint.network, labels, ports, self.atom(address))


class Reader:
    """Walks rules and collects what they read; each group and service once."""

    def __init__(self, intents: Intents) -> None:
        self._intents = intents
        self.groups: set[str] = set()
        """Those that are named, by rules or by others that are."""
        self.services: set[str] = set()
        self.label_keys: set[str] = set()
        self.endpoint_names: set[str] = set()
        self.port_names: set[str] = set()
        self.prefixes: set[IPNetwork] = set()

    def read(self, policy: Policy) -> None:
        """Take in what a policy reads."""
        if policy.subject is not None:
            self._selector(policy.subject)
        for rule in policy.rules:
            self._peers(rule.from_ or ())
            self._peers(rule.to or ())
            self._services(rule.services or ())

    def vocabulary(self) -> Vocabulary:
        """Return what was read of endpoints."""
        keys = frozenset(self.label_keys - {NETWORK_LABEL})
        return Vocabulary(keys, frozenset(self.endpoint_names), frozenset(self.port_names), frozenset(self.prefixes))

    def _selector(self, selector: Selector) -> None:
        self.label_keys.update([r.key for r in selector.requirements])

    def _peers(self, peers: Iterable[Peer]) -> None:
        for peer in peers:
            if isinstance(peer, GroupPeer):
                if peer.name not in self.groups:
                    self.groups.add(peer.name)
                    self._peers(self._intents.groups[peer.name].members)
            elif isinstance(peer, SelectorPeer):
                self._selector(peer.selector)
            elif isinstance(peer, CidrPeer):
                self.prefixes.update((peer.cidr, *peer.exceptions))
            elif isinstance(peer, EndpointPeer):
                self.endpoint_names.add(peer.name)

    def _services(self, services: Iterable[ServiceMatch | ServiceName]) -> None:
        for service in services:
            if isinstance(service, ServiceMatch):
                if isinstance(service.port, PortName):
                    self.port_names.add(service.port.name)
            elif service.name not in self.services:
                self.services.add(service.name)
                self._services(self._intents.services[service.name].matches)


def vocabulary(intents: Intents) -> Vocabulary:
    """Return what the policies read, those in `off` too: switch them off before."""
    reader = Reader(intents)
    for policy in intents.policies.values():
        reader.read(policy)
    return reader.vocabulary()


def selects(selector: Selector, identity: Identity) -> bool:
    """Whether every endpoint of the identity is selected; world is none."""
    if identity.is_world:
        return False
    labels = dict(identity.labels) | {NETWORK_LABEL: identity.network}
    return all(holds(requirement, labels.get(requirement.key)) for requirement in selector.requirements)


def holds(requirement: Requirement, value: str | None) -> bool:
    """Whether a label's value, None where there is no such label, is as required."""
    match requirement.operator:
        case Operator.IN:
            return value in requirement.values
        case Operator.NOT_IN:
            return value not in requirement.values
        case Operator.EXISTS:
            return value is not None
        case Operator.DOES_NOT_EXIST:
            return value is None


class Membership:
    """Which identities a rule's peers describe; memoised, as many rules share peers."""

    def __init__(self, intents: Intents, identities: Iterable[Identity]) -> None:
        self._intents = intents
        self.identities = tuple(identities)
        self._memo: dict[Peer, frozenset[Identity]] = {}
        self._selected: dict[Selector, frozenset[Identity]] = {}

    def selected(self, selector: Selector) -> frozenset[Identity]:
        """Return the identities a selector selects."""
        found = self._selected.get(selector)
        if found is None:
            found = frozenset(i for i in self.identities if selects(selector, i))
            self._selected[selector] = found
        return found

    def members(self, peers: Iterable[Peer]) -> frozenset[Identity]:
        """Return the union of what peers describe."""
        return frozenset().union(*(self._peer(p) for p in peers))

    def _peer(self, peer: Peer) -> frozenset[Identity]:
        found = self._memo.get(peer)
        if found is None:
            found = self._memo[peer] = self._expand(peer)
        return found

    def _expand(self, peer: Peer) -> frozenset[Identity]:
        match peer:
            case SelectorPeer(selector):
                return self.selected(selector)
            case GroupPeer(name):
                return self.members(self._intents.groups[name].members)
            case CidrPeer():
                return frozenset(i for i in self.identities if inside(peer, i.atom))
            case EndpointPeer(name):
                return frozenset(i for i in self.identities if (NAME_LABEL, name) in i.labels)
            case WorldPeer():
                return frozenset(i for i in self.identities if i.is_world)


def inside(peer: CidrPeer, atom: IPNetwork | None) -> bool:
    """Whether every address of an atom is described by a CIDR peer."""
    if atom is None or not _within(atom, peer.cidr):
        return False
    return not any(_within(atom, e) for e in peer.exceptions)


def _within(inner: IPNetwork, outer: IPNetwork) -> bool:
    return (
        inner.version == outer.version
        and inner.prefixlen >= outer.prefixlen
        and int(inner.network_address) >> (inner.max_prefixlen - outer.prefixlen)
        == int(outer.network_address) >> (outer.max_prefixlen - outer.prefixlen)
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Variant:
    """A part of a rule that one conjunction can say.

    Named ports split a rule: each number that a name stands for holds only for the servers that say so.
    """

    suffix: str
    """"" for the part without named ports, else `protocol/number`."""
    clients: frozenset[Identity] | None
    servers: frozenset[Identity] | None
    services: tuple[ServiceMatch, ...] | None
    """No named ports; None for every protocol."""


def flatten(intents: Intents, services: Iterable[ServiceMatch | ServiceName]) -> Iterator[ServiceMatch]:
    """Yield the matches that services stand for."""
    for service in services:
        if isinstance(service, ServiceName):
            yield from flatten(intents, intents.services[service.name].matches)
        else:
            yield service


def variants(intents: Intents, members: Membership, policy: Policy, rule: Rule) -> list[Variant]:
    """Return the parts of a rule that some local pair of identities can reach, in stable order."""
    subject = None if policy.subject is None else members.selected(policy.subject)
    clients = None if rule.from_ is None else members.members(rule.from_)
    servers = None if rule.to is None else members.members(rule.to)
    if rule.direction == "egress":
        clients = subject
    elif rule.direction == "ingress":
        servers = subject
    found = list(_by_service(intents, rule, (clients, servers), members.identities))
    return [v for v in found if v.clients != frozenset() and v.servers != frozenset()]


_Sides: TypeAlias = tuple[frozenset[Identity] | None, frozenset[Identity] | None]


def _by_service(intents: Intents, rule: Rule, sides: _Sides, identities: tuple[Identity, ...]) -> Iterator[Variant]:
    clients, servers = sides
    if rule.services is None:
        yield Variant("", clients, servers, None)
        return
    matches = list(dict.fromkeys(flatten(intents, rule.services)))
    plain = tuple(m for m in matches if not isinstance(m.port, PortName))
    if plain:
        everything = any(m.protocol is None for m in plain)
        yield Variant("", clients, servers, None if everything else plain)
    wanted = {(m.protocol, m.port.name) for m in matches if isinstance(m.port, PortName)}
    numbers: dict[tuple[int, int], set[Identity]] = {}
    for identity in identities if servers is None else servers:
        for port in identity.ports:
            if (port.protocol, port.name) in wanted:
                numbers.setdefault((port.protocol, port.number), set()).add(identity)
    for (protocol, number), holders in sorted(numbers.items(), key=lambda item: item[0]):
        match = ServiceMatch(protocol, PortRange(number, number))
        yield Variant(f"{protocol}/{number}", clients, frozenset(holders), (match,))

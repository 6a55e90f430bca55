"""Random policy sets and inventories, small enough that everything collides with everything."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any

from intent.model import (
    DEFAULT_TIERS,
    MAX_ORDER,
    Action,
    CidrPeer,
    Direction,
    EndpointPeer,
    Group,
    GroupPeer,
    Intents,
    Mode,
    MulticastGroup,
    Network,
    Operator,
    Peer,
    Policy,
    PortName,
    PortRange,
    Posture,
    Queue,
    Requirement,
    Rule,
    Schedule,
    Selector,
    SelectorPeer,
    Service,
    ServiceMatch,
    ServiceName,
    Tier,
    Window,
    WorldPeer,
)
from tests.property import routed
from tests.property.choice import Choice, T, many, subset
from topology.model import (
    NAME_LABEL,
    NETWORK_LABEL,
    Endpoint,
    Inventory,
    IPAddress,
    Location,
    MirrorPort,
    NamedPort,
    Tunnel,
    TunnelKind,
    UnaddressedPort,
)
from topology.packet import ICMP, ICMPV6, SCTP, TCP, UDP

DPID, OTHER_DPID = 1, 2
NOW = datetime(2024, 5, 15, 12, 0, tzinfo=UTC)  # a Wednesday
ZONE = "Europe/Berlin"
OFFSETS = {ZONE: timedelta(hours=2)}

NETWORKS = ("blue", "green", "red")
NAMES = tuple(f"e{n}" for n in range(8))
V4: tuple[IPAddress, ...] = tuple(IPv4Address("10.0.0.0") + n for n in range(1, 18))
V6: tuple[IPAddress, ...] = tuple(IPv6Address("fd00::") + n for n in range(1, 18))
LINK_LOCAL: tuple[IPAddress, ...] = tuple(IPv6Address("fe80::") + n for n in range(1, 9))
MACS = tuple(f"02:00:00:00:00:{n:02x}" for n in range(1, 11))
LABELS = {"app": ("web", "db", "job"), "tenant": ("a", "b"), "tier": ("x",)}
RANGES = ((80, 80), (79, 81), (80, 443), (443, 443), (1, 1023), (1024, 65535), (0, 0), (0, 65535), (65535, 65535))
NAMED_PORTS = (
    NamedPort("http", TCP, 80),
    NamedPort("http", TCP, 8080),
    NamedPort("http", UDP, 443),
    NamedPort("alt", TCP, 80),
    NamedPort("alt", UDP, 80),
)
CIDRS = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/29",
        "10.0.0.0/28",
        "10.0.0.0/30",
        "10.0.0.4/30",
        "10.0.0.3/32",
        "10.0.0.0/8",
        "0.0.0.0/0",
        "fd00::/125",
        "fd00::/124",
        "fd00::4/126",
        "fd00::3/128",
        "::/0",
        "10.0.0.32/27",
        "8.8.8.0/24",
        "8.8.8.8/32",
        "2001:db8::/32",
        "2001:db8::8/128",
    )
)
GROUPS: tuple[IPAddress, ...] = (
    IPv4Address("239.1.2.3"),
    IPv4Address("224.0.0.251"),
    IPv6Address("ff05::1:3"),
    IPv6Address("ff02::1"),
)
TIER_LISTS = (
    (Tier("only"),),
    (Tier("first"), Tier("pods", isolating=True), Tier("last")),
    DEFAULT_TIERS,
    (Tier("pods", isolating=True), Tier("more", isolating=True)),
)
QUEUES = ("gold", "silver")
MIRRORS = ("near", "far", "lost")
"""The last is nowhere."""
PROTOCOLS = (TCP, UDP, ICMP, ICMPV6, 47)
ICMP_TYPES = {ICMP: (8, 13, 15, 0, 3), ICMPV6: (128, 129, 1)}


@dataclasses.dataclass(frozen=True, slots=True)
class Features:
    """Parts of the language and of the inventory that a case may use."""

    passing: bool = True
    subjects: bool = True
    named_ports: bool = True
    other_switches: bool = True
    unaddressed: bool = False
    sctp: bool = False
    reject: bool = False
    observe: bool = False
    schedules: bool = False
    learning: bool = False
    expiry: bool = False
    tunnels: bool = False
    routing: bool = False
    multicast: bool = False
    handling: bool = False


BASIC = Features()
EVERYTHING = Features(
    unaddressed=True,
    sctp=True,
    learning=True,
    reject=True,
    observe=True,
    schedules=True,
    expiry=True,
    routing=True,
    multicast=True,
    handling=True,
)
SITE = dataclasses.replace(EVERYTHING, tunnels=True)
"""Everything, and tunnels between its two switches."""


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """Intents and an inventory; frames enter at the switch `dpid`, at `NOW`."""

    intents: Intents
    inventory: Inventory
    dpid: int = DPID


def make_case(choice: Choice, features: Features = BASIC) -> Case:
    """Return a case; every name in its intents resolves and its inventory keeps the invariant."""
    networks = NETWORKS[: choice.pick((1, 1, 2, 3))]
    inventory = _inventory(choice, networks, features)
    case = Case(_Author(choice, features).intents(networks, inventory), inventory)
    if features.routing and not choice.chance(25):
        routers = routed.make_routers(choice, networks)
        case = Case(dataclasses.replace(case.intents, routers=routers), routed.with_uplinks(inventory, choice))
    return with_handling(choice, case) if features.handling else case


def with_handling(choice: Choice, case: Case) -> Case:
    """Return the case with rates for its queues, and places for its mirrors."""
    queues = {name: Queue(name, choice.pick((1_000_000, 20_000_001, 10**9))) for name in QUEUES}
    places = [(dpid, 90 + n, name) for dpid in (DPID, OTHER_DPID) for n, name in enumerate(sorted(MIRRORS[:2]))]
    mirrors = tuple(
        MirrorPort(name, Location(dpid, ofport, f"m{ofport}", f"mirror-{dpid}-{ofport}"))
        for dpid, ofport, name in places
        if choice.chance(80)
    )
    intents = dataclasses.replace(case.intents, queues=queues)
    return dataclasses.replace(case, intents=intents, inventory=dataclasses.replace(case.inventory, mirrors=mirrors))


# -- what exists ----------------------------------------------------------------------------------


def _inventory(choice: Choice, networks: tuple[str, ...], features: Features) -> Inventory:
    free = {network: (list(V4), list(V6), list(LINK_LOCAL), list(MACS)) for network in networks}
    if features.routing:
        pools = {network: routed.pool(NETWORKS.index(network)) for network in networks}
        free = {network: (*pools[network], pools[network][1], list(MACS)) for network in networks}
    count = choice.pick((2, 3, 4, 5, 6, 8, 4, 5, 6, 8, 1, 0))
    endpoints: dict[str, Endpoint] = {}
    unaddressed: list[UnaddressedPort] = []
    for number, name in enumerate(NAMES[:count]):
        network = choice.pick(networks)
        *pools, macs = free[network]
        mac = _take(choice, macs)
        elsewhere = features.other_switches and choice.chance(40 if features.tunnels else 10)
        dpid = OTHER_DPID if elsewhere else DPID
        location = Location(dpid, number + 1, f"v{number}", f"row-{number}")
        if features.unaddressed and choice.chance(10):
            unaddressed.append(UnaddressedPort(name, network, mac, location))
            continue
        ports = subset(choice, NAMED_PORTS, 25) if features.named_ports else ()
        addresses = _addresses(choice, pools)
        endpoints[name] = Endpoint(name, network, labels(choice, name, network), mac, addresses, ports, location)
    return Inventory(endpoints, tuple(unaddressed), tunnels=make_tunnels(choice) if features.tunnels else {})


def make_tunnels(choice: Choice) -> dict[int, Tunnel]:
    """Mostly two ends that reach each other; sometimes only one, or two that speak differently."""
    kind = choice.pick(tuple(TunnelKind))
    other = choice.pick((kind, kind, kind, TunnelKind.GENEVE))
    ports = {TunnelKind.GENEVE: 6081, TunnelKind.VXLAN: 4789, TunnelKind.GRE: 0}
    ends = {
        DPID: Tunnel(kind, IPv4Address("192.0.2.1"), ports[kind], 100, "ring-tun"),
        OTHER_DPID: Tunnel(other, IPv4Address("192.0.2.2"), ports[other], choice.pick((100, 101)), "ring-tun"),
    }
    return {dpid: end for dpid, end in ends.items() if choice.chance(90)}


def _addresses(choice: Choice, pools: list[list[IPAddress]]) -> tuple[IPAddress, ...]:
    """Mostly dual-stack; sometimes a second address of a kind, sometimes a declared link-local one."""
    v4, v6, link_local = pools
    mixes = ((v4, v6), (v4,), (v4, v6), (v6,), (v4, v6), (v4, v4, v6), (v4, v6, v6, link_local), (v6, link_local))
    kinds = choice.pick(mixes)
    return tuple(sorted((_take(choice, kind) for kind in kinds), key=lambda a: (a.version, int(a))))


def _take(choice: Choice, pool: list[T]) -> T:
    return pool.pop(choice.pick(range(min(len(pool), 3))))


def labels(choice: Choice, name: str, network: str) -> dict[str, str]:
    """Return the labels of an endpoint, the implicit ones too."""
    some = {key: choice.pick(LABELS[key]) for key in subset(choice, tuple(LABELS), 60)}
    return {NETWORK_LABEL: network, NAME_LABEL: name, **some}


# -- what people ask for --------------------------------------------------------------------------


class _Author:
    """Writes intents; knows which names exist so far."""

    def __init__(self, choice: Choice, features: Features) -> None:
        self._choice = choice
        self._features = features
        self._groups: dict[str, Group] = {}
        self._services: dict[str, Service] = {}

    def intents(self, networks: tuple[str, ...], inventory: Inventory) -> Intents:
        for n in range(self._choice.pick((0, 1, 2, 3))):
            self._groups[f"g{n}"] = Group(f"g{n}", many(self._choice, 1, 3, self._peer))
        for n in range(self._choice.pick((0, 1, 2))):
            self._services[f"s{n}"] = Service(f"s{n}", many(self._choice, 1, 3, self._service))
        tiers = self._choice.pick(TIER_LISTS)
        policies = [self._policy(f"p{n}", tiers) for n in range(self._choice.pick((1, 2, 3, 4, 6, 0)))]
        return Intents(
            networks={name: self._network(name, inventory) for name in networks},
            groups=self._groups,
            services=self._services,
            policies={policy.name: policy for policy in policies},
            tiers=tiers,
        )

    def _network(self, name: str, inventory: Inventory) -> Network:
        posture = self._choice.pick((Posture.DENY, Posture.ALLOW))
        server = self._choice.pick(tuple(inventory.endpoints)) if inventory.endpoints else None
        learn = frozenset(subset(self._choice, ("arp", "nd", "dhcp"), 50)) if self._features.learning else frozenset()
        network = Network(name, posture, dhcp_server=server if self._choice.chance(40) else None, learn=learn)
        if self._features.multicast:
            groups = tuple(MulticastGroup(a, self._selector()) for a in subset(self._choice, GROUPS, 60))
            network = dataclasses.replace(network, multicast=groups)
        if not self._features.routing:
            return network
        index = NETWORKS.index(name)
        return dataclasses.replace(network, subnets=routed.subnets(index), gateways=routed.gateways(index))

    def _policy(self, name: str, tiers: tuple[Tier, ...]) -> Policy:
        policy = Policy(
            name, self._choice.pick(tiers).name, self._choice.pick((0, 1, 100, MAX_ORDER)), (), **self._when()
        )
        if self._features.subjects and self._choice.chance(35):
            directions = self._choice.pick(((Direction.INGRESS,), (Direction.EGRESS,), tuple(Direction)))
            rules = many(self._choice, 0, 3, lambda: self._one_sided(self._choice.pick(directions)))
            policy = dataclasses.replace(policy, subject=self._selector(), directions=frozenset(directions))
        else:
            rules = many(self._choice, 1, 4, self._two_sided)
        named = tuple(dataclasses.replace(self._handled(rule), name=f"r{n}") for n, rule in enumerate(rules))
        return dataclasses.replace(policy, rules=named)

    def _when(self) -> dict[str, Any]:
        """Return mode, expiry and schedule, as far as the features go."""
        when: dict[str, Any] = {}
        if self._features.observe:
            when["mode"] = self._choice.pick((Mode.ENFORCE, Mode.ENFORCE, Mode.OBSERVE, Mode.OFF))
        if self._features.expiry and self._choice.chance(30):
            when["expires"] = NOW + timedelta(seconds=self._choice.pick((1, 0, -1, 3600)))
        if self._features.schedules and self._choice.chance(30):
            start, end = self._choice.pick(((840, 900), (0, 1440), (841, 900), (780, 840), (1320, 360), (820, 841)))
            days = frozenset(subset(self._choice, range(7), 70))
            when["schedule"] = Schedule(ZONE, (Window(days, start, end),))
        return when

    def _two_sided(self) -> Rule:
        return Rule("", self._action(), self._peers(), self._peers(), self._services_of_rule())

    def _one_sided(self, direction: Direction) -> Rule:
        peers = self._peers()
        from_, to = (peers, None) if direction is Direction.INGRESS else (None, peers)
        return Rule("", self._action(), from_, to, self._services_of_rule(), direction)

    def _handled(self, rule: Rule) -> Rule:
        if not self._features.handling or rule.action is not Action.ALLOW:
            return rule
        queue, mirror = self._choice.pick((None, None, *QUEUES)), self._choice.pick((None, None, None, *MIRRORS))
        return dataclasses.replace(rule, queue=queue, mirror=mirror)

    def _action(self) -> Action:
        actions = [Action.ALLOW, Action.DENY, Action.ALLOW]
        actions += [Action.PASS] * self._features.passing + [Action.REJECT] * self._features.reject
        return self._choice.pick(actions)

    def _peers(self) -> tuple[Peer, ...] | None:
        return None if self._choice.chance(25) else many(self._choice, 1, 3, self._peer)

    def _peer(self) -> Peer:
        kind = self._choice.pick((SelectorPeer, SelectorPeer, CidrPeer, CidrPeer, GroupPeer, EndpointPeer, WorldPeer))
        if kind is CidrPeer:
            cidr = self._choice.pick(CIDRS)
            inside = tuple(c for c in CIDRS if c != cidr and c.network_address in cidr and c.prefixlen > cidr.prefixlen)
            return CidrPeer(cidr, subset(self._choice, inside, 30))
        if kind is GroupPeer and self._groups:
            return GroupPeer(self._choice.pick(tuple(self._groups)))
        if kind is EndpointPeer:
            return EndpointPeer(self._choice.pick(NAMES))
        return WorldPeer() if kind is WorldPeer else SelectorPeer(self._selector())

    def _selector(self) -> Selector:
        return Selector(many(self._choice, 0, 2, self._requirement))

    def _requirement(self) -> Requirement:
        known = {**LABELS, NETWORK_LABEL: NETWORKS, NAME_LABEL: NAMES}
        key = self._choice.pick(tuple(known))
        operator = self._choice.pick((Operator.IN, Operator.NOT_IN, Operator.EXISTS, Operator.DOES_NOT_EXIST))
        if operator in {Operator.EXISTS, Operator.DOES_NOT_EXIST}:
            return Requirement(key, operator)
        values = subset(self._choice, known[key], 40) or (self._choice.pick(known[key]),)
        return Requirement(key, operator, frozenset(values))

    def _services_of_rule(self) -> tuple[ServiceMatch | ServiceName, ...] | None:
        return None if self._choice.chance(30) else many(self._choice, 1, 3, self._service)

    def _service(self) -> ServiceMatch | ServiceName:
        if self._services and self._choice.chance(25):
            return ServiceName(self._choice.pick(tuple(self._services)))
        protocol = self._choice.pick((*PROTOCOLS, None, *([SCTP] * self._features.sctp)))
        if protocol in {TCP, UDP, SCTP}:
            return ServiceMatch(protocol, self._port())
        if protocol in ICMP_TYPES and self._choice.chance(60):
            return ServiceMatch(
                protocol, None, self._choice.pick(ICMP_TYPES[protocol]), self._choice.pick((None, 0, 1))
            )
        return ServiceMatch(protocol)

    def _port(self) -> PortRange | PortName | None:
        if self._features.named_ports and self._choice.chance(25):
            return PortName(self._choice.pick(("http", "alt", "none")))
        return None if self._choice.chance(15) else PortRange(*self._choice.pick(RANGES))


# -- what changes ---------------------------------------------------------------------------------


def change_case(choice: Choice, case: Case) -> Case:
    """Return the case after one change: a label, a re-plugging, an address that changes hands, a policy gone."""
    if case.intents.routers and choice.chance(20):
        return routed.change_ways(choice, case)
    endpoints, policies = dict(case.inventory.endpoints), dict(case.intents.policies)
    if policies and (not endpoints or choice.chance(30)):
        del policies[choice.pick(tuple(policies))]
        return dataclasses.replace(case, intents=dataclasses.replace(case.intents, policies=policies))
    if endpoints:
        _change_endpoint(choice, endpoints, choice.pick(tuple(endpoints)))
    return dataclasses.replace(case, inventory=dataclasses.replace(case.inventory, endpoints=endpoints))


def _change_endpoint(choice: Choice, endpoints: dict[str, Endpoint], name: str) -> None:
    old = endpoints.pop(name)
    replugged = dataclasses.replace(old.location, uid=f"{old.location.uid}+")
    match choice.pick(("labels", "replug", "heir", "gone")):
        case "labels":
            endpoints[name] = dataclasses.replace(old, labels=labels(choice, name, old.network))
        case "replug":
            endpoints[name] = dataclasses.replace(old, location=replugged)
        case "heir":  # somebody else, with the same labels, gets port, MAC and addresses
            heir = f"{name}-heir"
            endpoints[heir] = dataclasses.replace(
                old, name=heir, location=replugged, labels={**old.labels, NAME_LABEL: heir}
            )

"""The flows of routers and uplinks: between the networks of a routing domain, and to the world and back.

A router is on every switch. What is sent to its MAC is judged as it came; only at delivery (ROUTE) does it take a
hop and the MACs of the next one. What is neither an endpoint's address nor in a subnet of the domain is the world's:
its identity is that of the longest prefix which policy names, looked up in the four WORLD tables.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from ipaddress import IPv4Address, ip_network

from intent.compiler import beyond
from intent.compiler import fields as f
from intent.compiler.beyond import VERSIONS
from intent.compiler.cookie import OPENED, Guard, Kind, Origin, encode, reason
from intent.compiler.flow import IN_PORT, Act, DecTtl, Flow, Load, Move, Output, Resubmit, Term, exact
from intent.compiler.handling import Tended
from intent.compiler.pipeline import (
    ADVERTISEMENT,
    ARP_REQUEST,
    COMMIT,
    DHCP_REPLIES,
    SOLICITATION,
    answer_actions,
    same_actions,
)
from intent.compiler.tables import Priority, Routed, Table
from intent.compiler.terms import (
    ARP,
    ETHERTYPE,
    IPV6,
    dst_address,
    flow,
    goto,
    guard,
    is_,
    mac,
    protocol,
)
from intent.compiler.translation import Door, last_hop, way_in, way_out
from intent.model import Intents, IPNetwork, Network
from topology.model import Endpoint, IPAddress, Translation, UplinkPort
from topology.packet import ICMP, ICMPV6, UDP

ECHO_REQUEST = {4: 8, 6: 128}
ECHO_REPLY = {4: 0, 6: 129}
FRESH_TTL = 64
ROUTER_FLAGS = 0xE0000000
"""Router, solicited and override (RFC 4861, section 4.4)."""
NO_FRAGMENT = Term(f.IP_FRAG, 0, 1)
FROM_HERE = Term(f.FROM_TUNNEL.field, 0, f.FROM_TUNNEL.mask)
"""What comes from another switch was routed there, and is for nobody but its receiver."""
NOT_WORLD = Term(f.SRC_WORLD.field, 0, f.SRC_WORLD.mask)


@dataclasses.dataclass(frozen=True, slots=True)
class Leg:
    """What routing reads of a network."""

    name: str
    subnets: tuple[IPNetwork, ...]
    gateways: tuple[IPAddress, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Domain:
    """A router with the networks that it joins."""

    router: str
    mac: int
    uplink: str | None
    legs: tuple[Leg, ...]

    @property
    def key(self) -> str:
        """Name in the id map, among networks, of which none has a slash."""
        return f"router/{self.router}"

    @property
    def subnets(self) -> list[IPNetwork]:
        """Return the subnets of all its networks."""
        return [subnet for leg in self.legs for subnet in leg.subnets]


@dataclasses.dataclass(frozen=True, slots=True)
class Ways:
    """All routing domains, and the uplinks that lead out of them."""

    domains: Mapping[str, Domain] = dataclasses.field(default_factory=dict)
    """By network."""
    uplinks: Mapping[int, tuple[UplinkPort, ...]] = dataclasses.field(default_factory=dict)
    """By datapath id: those that some router names."""
    served: Mapping[str, tuple[Domain, ...]] = dataclasses.field(default_factory=dict)
    """By uplink, plugged in or not: the domains that name it, sorted by router."""
    circles: Mapping[str, Domain] = dataclasses.field(default_factory=dict)
    """By key."""

    def behind(self, port: UplinkPort) -> tuple[Domain, ...]:
        """Return the domains that an uplink serves, each once."""
        return self.served.get(port.name, ())

    def circle(self, network: str) -> str:
        """Return the name of a network's routing domain: of its router, or its own."""
        domain = self.domains.get(network)
        return network if domain is None else domain.key

    def members(self, circle: str) -> tuple[str, ...]:
        """Return the networks of a routing domain: of a network alone, that network."""
        domain = self.circles.get(circle)
        return (circle,) if domain is None else tuple(leg.name for leg in domain.legs)

    def is_part(self, dpid: int, networks: Collection[str], circle: str) -> bool:
        """Whether a switch with endpoints in these networks has anything in a routing domain."""
        here = {self.circle(name) for name in networks} | {d.key for d in self.on_switch(dpid, ())}
        return circle in here

    def on_switch(self, dpid: int, networks: Collection[str]) -> list[Domain]:
        """Return the domains that a switch with endpoints in these networks is part of, or has an uplink of."""
        here = {d.router: d for name in networks if (d := self.domains.get(name)) is not None}
        here |= {d.router: d for port in self.uplinks.get(dpid, ()) for d in self.behind(port)}
        return [here[name] for name in sorted(here)]

    def leg(self, network: str) -> Leg | None:
        """Return what routing reads of a network, None if no router joins it."""
        domain = self.domains.get(network)
        return None if domain is None else next(leg for leg in domain.legs if leg.name == network)

    @property
    def ports(self) -> list[UplinkPort]:
        """Return all uplinks that some router names."""
        return [port for ports in self.uplinks.values() for port in ports]

    @property
    def keys(self) -> list[str]:
        """Return what needs a number of the space of networks, each once."""
        return sorted({*self.circles, *map(uplink_key, self.ports)})


@dataclasses.dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of one domain behind one uplink."""

    domain: int
    uplink: int
    attachment: int
    networks: Mapping[str, int]


def ways(intents: Intents, uplinks: tuple[UplinkPort, ...]) -> Ways:
    """Return the ways there are; a router whose networks are not there is none."""
    domains: dict[str, Domain] = {}
    for _, router in sorted(intents.routers.items()):
        found = [intents.networks[name] for name in router.networks if name in intents.networks]
        domain = Domain(router.name, mac(router.mac), router.uplink, tuple(map(leg_of, found)))
        for network in found:
            domains.setdefault(network.name, domain)
    circles = {domain.key: domain for domain in domains.values()}
    served: dict[str, tuple[Domain, ...]] = {}
    for domain in sorted(circles.values(), key=lambda d: d.router):
        if domain.uplink is not None:
            served[domain.uplink] = (*served.get(domain.uplink, ()), domain)
    return Ways(domains, by_switch(uplinks, served), served, circles)


def by_switch(uplinks: Iterable[UplinkPort], served: Container[str]) -> dict[int, tuple[UplinkPort, ...]]:
    """Return by datapath id the uplinks that some domain names."""
    ports: dict[int, tuple[UplinkPort, ...]] = {}
    for port in uplinks:
        if port.name in served:
            ports[port.location.dpid] = (*ports.get(port.location.dpid, ()), port)
    return ports


def leg_of(network: Network) -> Leg:
    """Return what routing reads of a network."""
    return Leg(network.name, network.subnets, network.gateways)


def uplink_key(port: UplinkPort) -> str:
    """Return the name of an uplink in the id map, among networks."""
    return f"uplink/{port.name}"


def attachment_key(port: UplinkPort) -> str:
    """Return the name of an uplink's attachment in the id map."""
    return f"{port.attachment}@"


def tended(port: UplinkPort, number: Callable[[str, str], int]) -> Tended:
    """Return an uplink as a port that has flows of its own for what rules want."""
    return Tended(port.location.ofport, number("attachment", attachment_key(port)), not port.translation.addresses)


# -- between networks --------------------------------------------------------------------------------


def leg_flows(domain: Domain, leg: Leg, number: int, network: int) -> Iterator[Flow]:
    """Yield what a switch with an endpoint of a routed network needs, whoever the endpoint is."""
    yield from _domain_flows(domain, number)
    place = is_(f.PLACE, number | network << f.LINK.offset)
    for gateway in leg.gateways:
        yield answer(domain.mac, gateway, network)
        yield _echo(domain.mac, gateway, place)


_SERVED = {
    version: (family, protocol(UDP), exact(f.UDP_SRC, source), exact(f.UDP_DST, destination))
    for version, (family, source, destination) in zip(VERSIONS, DHCP_REPLIES, strict=True)
}
"""What a declared DHCP server says is for its own network."""


def _domain_flows(domain: Domain, number: int) -> Iterator[Flow]:
    ours = (is_(f.NETWORK, number), exact(f.ETH_DST, domain.mac))
    for version in VERSIONS:
        family = ETHERTYPE[version]
        for ttl in (0, 1):
            used_up = (*ours, family, exact(f.IP_TTL, ttl))
            yield flow(Table.DESTINATION, Routed.TTL, used_up, *guard(Guard.TTL))
        served = (*ours, *_SERVED[version])
        yield flow(Table.DESTINATION, Routed.SERVED, served, *guard(Guard.DHCP))
        hop = Resubmit(int(Table.ROUTE))
        opened = goto(Table.NOTE, hop, COMMIT, Load(f.REASON, reason(OPENED)))
        yield flow(Table.DELIVER, Routed.COMMIT, (*ours, family, is_(f.COMMIT, 1)), opened)
        yield flow(Table.DELIVER, Routed.PLAIN, (*ours, family), (hop,))


def answer(hardware: int, address: IPAddress, network: int) -> Flow:
    """Return the flow that answers for an address with the router's MAC."""
    where = is_(f.NETWORK, network)
    if isinstance(address, IPv4Address):
        asked = (where, ARP, exact(f.ARP_SPA, int(address)))
        return flow(Table.ANSWER, Priority.ADDRESS, asked, answer_actions(hardware, f.ARP_SHA))
    advertised = (*_ADVERTISED, exact(f.ND_TARGET, int(address)))
    return flow(Table.ANSWER, Priority.ADDRESS, (where, *advertised), _advertise(hardware))


_ADVERTISED = (IPV6, protocol(ICMPV6), exact(f.ICMPV6_TYPE, ADVERTISEMENT))


def _advertise(hardware: int) -> tuple[Act, ...]:
    return (Load(f.whole(f.ND_RESERVED), ROUTER_FLAGS), *answer_actions(hardware, f.ND_TLL))


def _echo(hardware: int, gateway: IPAddress, place: Term) -> Flow:
    """Return the flow that answers a ping of a gateway, as it would a neighbour query: nobody is reached by it."""
    version, w = gateway.version, f.whole
    number, type_field, code_field = _ICMP[version]
    asks = (exact(type_field, ECHO_REQUEST[version]), exact(code_field, 0))
    ping = (place, FROM_HERE, exact(f.ETH_DST, hardware), ETHERTYPE[version], NO_FRAGMENT, protocol(number))
    terms = (*ping, dst_address(gateway))
    source, destination = _ADDRESSES[version]
    back: tuple[Act, ...] = (
        Move(w(f.ETH_SRC), w(f.ETH_DST)),
        Load(w(f.ETH_SRC), hardware),
        Move(w(source), w(destination)),
        Load(w(source), int(gateway)),
        Load(w(type_field), ECHO_REPLY[version]),
        Load(w(f.IP_TTL), FRESH_TTL),
        Output(IN_PORT),
    )
    return flow(Table.GUARD, Routed.ECHO, (*terms, *asks), back)


_ICMP = {4: (ICMP, f.ICMPV4_TYPE, f.ICMPV4_CODE), 6: (ICMPV6, f.ICMPV6_TYPE, f.ICMPV6_CODE)}
_ADDRESSES = {4: (f.IPV4_SRC, f.IPV4_DST), 6: (f.IPV6_SRC, f.IPV6_DST)}


@dataclasses.dataclass(frozen=True, slots=True)
class Via:
    """How an endpoint of a routed network is reached from all of its domain."""

    domain: int
    """The number."""
    mac: int
    """The router's."""


def hop_flows(endpoint: Endpoint, address: IPAddress, via: Via, numbers: tuple[int, int]) -> Iterator[Flow]:
    """Yield what leads to an address of a local endpoint by way of its router; `numbers`: identity, attachment."""
    identity, attachment = numbers
    family, origin = ETHERTYPE[address.version], encode(Origin(Kind.ENDPOINT, attachment))
    ours = is_(f.NETWORK, via.domain)
    target = (ours, FROM_HERE, exact(f.ETH_DST, via.mac), family, dst_address(address))
    out = Load(f.OUT_PORT, endpoint.location.ofport)  # ROUTE outputs; NOTE is told whose it was
    located = goto(Table.ORIENT, Load(f.DST_ID, identity), Load(f.DST_ATT, attachment), out)
    yield flow(Table.DESTINATION, Routed.HOP, target, located, origin)
    hop = _hop(via.mac, mac(endpoint.mac), endpoint.location.ofport)
    yield flow(Table.ROUTE, Priority.ADDRESS, (ours, is_(f.DST_ATT, attachment), family), hop, origin)


def _hop(source: int, destination: int, ofport: int) -> tuple[Act, ...]:
    w = f.whole
    return (Load(w(f.ETH_SRC), source), Load(w(f.ETH_DST), destination), DecTtl(), Output(ofport))


# -- to the world and back ------------------------------------------------------------------------------


def port_flows(ways: Ways, port: UplinkPort, number: Callable[[str, str], int]) -> Iterator[Flow]:
    """Yield all flows of an uplink; `number` says what a key has in a space of the id map."""
    uplink, attachment = number("network", uplink_key(port)), number("attachment", attachment_key(port))
    yield from uplink_flows(port, uplink, attachment)
    for domain in ways.behind(port):
        networks = {leg.name: number("network", leg.name) for leg in domain.legs}
        yield from way_flows(domain, port, Numbers(number("network", domain.key), uplink, attachment, networks))


def bare(port: UplinkPort) -> UplinkPort:
    """Return an uplink without its single forwards: it has the flows that do not depend on them."""
    said = port.translation
    return dataclasses.replace(port, translation=Translation(said.sources, (), said.addresses))


def uplink_flows(port: UplinkPort, uplink: int, attachment: int) -> Iterator[Flow]:
    """Yield the flows of an uplink that do not depend on the domain behind it."""
    here, in_network = exact(f.IN_PORT, port.location.ofport), Load(f.NETWORK, uplink)
    origin = encode(Origin(Kind.ENDPOINT, attachment))
    asks = (here, ARP, exact(f.ARP_OP, ARP_REQUEST))
    yield flow(Table.SOURCE, Priority.SOURCE, asks, goto(Table.NEIGHBOUR, in_network), origin)
    solicits = (here, IPV6, protocol(ICMPV6), exact(f.ICMPV6_TYPE, SOLICITATION), exact(f.ICMPV6_CODE, 0))
    yield flow(Table.SOURCE, Priority.SOLICIT, solicits, goto(Table.NEIGHBOUR, in_network), origin)
    yield from way_in(Door(port, uplink, attachment))
    yield from beyond_flows(attachment)


def beyond_flows(attachment: int) -> Iterator[Flow]:
    """Yield what a switch knows of an uplink, of its own or of another switch, whatever the domain."""
    origin = encode(Origin(Kind.ENDPOINT, attachment))
    own = Term(f.DIRECTION.field, 0, f.RELATED << f.DIRECTION.offset)
    yield flow(Table.SAME, Priority.ADDRESS, (*_same(attachment), own), same_actions(0), origin)
    yield from beyond.martian_flows()


def way_flows(domain: Domain, port: UplinkPort, numbers: Numbers) -> Iterator[Flow]:
    """Yield the flows of one domain behind one uplink of a switch."""
    yield from _domain_flows(domain, numbers.domain)
    yield from border_flows(domain, numbers.domain, numbers.attachment)
    origin = encode(Origin(Kind.ENDPOINT, numbers.attachment))
    ours, router = is_(f.NETWORK, numbers.domain), exact(f.ETH_DST, domain.mac)
    enter = (Load(f.PLACE, numbers.domain), Load(f.SRC_ATT, numbers.attachment))
    leave = goto(Table.WORLD_DESTINATION, Load(f.DST_ATT, numbers.attachment))
    hop = _hop(domain.mac, mac(port.next_hop), port.location.ofport)
    door = Door(port, numbers.uplink, numbers.attachment)
    links = tuple(is_(f.PLACE, numbers.domain | n << f.LINK.offset) for n in numbers.networks.values())
    yield from way_out(door, ours, router, links)
    for version in VERSIONS:
        family = ETHERTYPE[version]
        came = (exact(f.IN_PORT, port.location.ofport), router, family)
        yield flow(Table.SOURCE, Priority.SOURCE, came, goto(Table.WORLD_SOURCE, *enter), origin)
        for link in () if version in door.versions else links:
            yield flow(Table.DESTINATION, Routed.UPLINK, (link, FROM_HERE, router, family), leave, origin)
        out = (ours, is_(f.DST_ATT, numbers.attachment), family)
        yield flow(Table.ROUTE, Priority.ADDRESS, out, last_hop(door, version, hop), origin)
    shown = [ip_network(address) for address in port.translation.addresses]
    for block in (*shown, *(subnet for subnet in domain.subnets if not port.translation.covers(subnet.version))):
        yield _proxy(domain.mac, block, numbers.uplink)
    for block in shown:
        yield from beyond.ours_flows(block, ours)


def border_flows(domain: Domain, number: int, attachment: int) -> Iterator[Flow]:
    """Yield what keeps a domain's addresses apart from the world's, where an uplink is known by its attachment."""
    origin, ours = encode(Origin(Kind.ENDPOINT, attachment)), is_(f.NETWORK, number)
    # The attachments of a connection that an error quotes are looked at in this order: client, server.
    for first, table in ((0, Table.WORLD_CLIENT), (1, Table.WORLD_SERVER)):
        state = Term(f.SAME_FIRST.field, f.RELATED | first << f.SAME_FIRST.offset, f.DIRECTION.mask | f.SAME_FIRST.mask)
        found = (*same_actions(0), Resubmit(int(table)))
        yield flow(Table.SAME, Routed.AGAIN, (ours, *_same(attachment), state), found, origin)
    for subnet in domain.subnets:
        yield from beyond.ours_flows(subnet, ours)


def _same(attachment: int) -> tuple[Term, ...]:
    return is_(f.COMPARE_A, attachment), is_(f.COMPARE_B, attachment)


def _proxy(hardware: int, subnet: IPNetwork, uplink: int) -> Flow:
    """Return the flow that answers a query from beyond the uplink: the router is where the whole subnet is."""
    where = is_(f.NETWORK, uplink)
    if subnet.version == VERSIONS[0]:
        asked = (where, ARP, *beyond.inside(f.ARP_SPA, subnet))
        return flow(Table.ANSWER, Priority.ADDRESS, asked, answer_actions(hardware, f.ARP_SHA))
    advertised = (where, *_ADVERTISED, *beyond.inside(f.ND_TARGET, subnet))
    return flow(Table.ANSWER, Priority.ADDRESS, advertised, _advertise(hardware))

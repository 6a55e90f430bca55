"""The flows of each endpoint: five on IPv4 and five on IPv6.

They tie an address to one port and MAC (SOURCE), answer for it (ANSWER), lead to it (DESTINATION) and
name its attachment (SAME).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from intent.compiler import fields as f
from intent.compiler.cookie import PIPELINE, Kind, Origin, encode
from intent.compiler.flow import (
    CONTROLLER,
    Actions,
    Flow,
    FlowBody,
    FlowKey,
    Goto,
    Load,
    Match,
    Meter,
    Output,
    Term,
    exact,
    make,
)
from intent.compiler.pipeline import ADVERTISEMENT, ARP_REQUEST, SOLICITATION, TRACK, answer_actions, same_actions
from intent.compiler.routing import Via, hop_flows
from intent.compiler.tables import Priority, Table
from intent.compiler.terms import (
    ARP,
    IPV4,
    IPV6,
    flow,
    goto,
    is_,
    mac,
    protocol,
    src_address,
)
from intent.compiler.verdict import SWITCH_METER
from intent.model import Network
from topology.model import Endpoint, IPAddress, UnaddressedPort
from topology.packet import ICMPV6, UDP

BROADCAST_MAC = 0xFFFFFFFFFFFF
BROADCAST = 0xFFFFFFFF
DHCP_SERVER, DHCP_CLIENT = 67, 68
DHCPV6_SERVER, DHCPV6_CLIENT = 547, 546
LEARN_BYTES = 512
"""Bytes of a frame that the controller needs to learn an address: a DHCP reply up to its message type."""

_SHARED = 65536
"""Actions that many flows have, kept to be made once."""


class Numbers(NamedTuple):
    """The numbers one address of one endpoint goes by."""

    network: int
    identity: int
    attachment: int
    via: Via | None = None
    """If a router joins the network to others."""

    @property
    def place(self) -> tuple[Term, Load]:
        """What its packets match once they are known to be its network's, and what makes them so."""
        if self.via is None:
            return _of_network(self.network), _in_network(self.network)
        where = self.via.domain | self.network << f.LINK.offset
        return is_(f.PLACE, where), Load(f.PLACE, where)

    @property
    def same(self) -> tuple[Term, ...]:
        """Match two attachments that are compared, if both are this one: in its routing domain, which it may leave."""
        where = _of_network(self.network if self.via is None else self.via.domain)
        return where, is_(f.COMPARE_A, self.attachment), is_(f.COMPARE_B, self.attachment)


_ASKS = exact(f.ARP_OP, ARP_REQUEST)
_same = lru_cache(maxsize=_SHARED)(same_actions)


@lru_cache(maxsize=_SHARED)
def _from(identity: int) -> Load:
    return make(Load, (f.SRC_ID, identity))


@lru_cache(maxsize=_SHARED)
def _to(identity: int) -> Load:
    return make(Load, (f.DST_ID, identity))


@lru_cache(maxsize=_SHARED)
def _in_network(number: int) -> Load:
    return Load(f.NETWORK, number)


@lru_cache(maxsize=_SHARED)
def _of_network(number: int) -> Term:
    return is_(f.NETWORK, number)


@lru_cache(maxsize=_SHARED)
def _out(ofport: int) -> Load:
    return make(Load, (f.OUT_PORT, ofport))


def address_flows(endpoint: Endpoint, address: IPAddress, numbers: Numbers) -> Iterator[Flow]:
    """Yield the flows of one address of a local endpoint (all but its port's neighbour guard)."""
    hardware, number = mac(endpoint.mac), int(address)
    port = endpoint.location.ofport
    attachment, identity = numbers.attachment, numbers.identity
    origin = _ORIGIN | attachment
    in_port, eth_src = make(Term, (f.IN_PORT, port, _PORT)), make(Term, (f.ETH_SRC, hardware, _MAC))
    family, source, destination, ones = _OF_VERSION[address.version]
    network, enter = numbers.place
    identify = _from(identity), make(Load, (f.SRC_ATT, attachment)), enter, _TO_GUARD
    yield _flow(_SOURCE, (in_port, eth_src, family, make(Term, (source, number, ones))), identify, origin)
    locate = _to(identity), make(Load, (f.DST_ATT, attachment)), _out(port), _TO_ORIENT
    there = network, make(Term, (f.ETH_DST, hardware, _MAC)), family, make(Term, (destination, number, ones))
    yield _flow(_DESTINATION, there, locate, origin)
    yield _flow(_SAME, numbers.same, _same(identity), origin)
    if family is IPV4:
        says = make(Term, (f.ARP_SPA, number, ones)), make(Term, (f.ARP_SHA, hardware, _MAC))
        asks = in_port, eth_src, ARP, _ASKS, *says
        yield _flow(_SOURCE, asks, (_in_network(numbers.network), _TO_NEIGHBOUR), origin)
    if numbers.via is not None:
        yield from hop_flows(endpoint, address, numbers.via, (identity, attachment))
    yield answer_flow(endpoint, address, numbers.network, hardware)


_PORT, _MAC = f.IN_PORT.ones, f.ETH_SRC.ones
_OF_VERSION = {4: (IPV4, f.IPV4_SRC, f.IPV4_DST, f.IPV4_SRC.ones), 6: (IPV6, f.IPV6_SRC, f.IPV6_DST, f.IPV6_SRC.ones)}
"""EtherType, source, destination, and the mask of a whole address."""
NAMED = 3
"""The first flows of an address: those that say which identity it goes by."""
OF_ADDRESS = {4: 5, 6: 4}
"""How many flows `address_flows` yields where no router is, by IP version."""


def renamed(named: Sequence[FlowBody], identity: int) -> tuple[FlowBody, ...]:
    """Return what the first flows of an address do once it goes by another identity, which alone differs."""
    source, destination, same = named
    origin = same.cookie
    return (
        make(FlowBody, ((_from(identity), *source[0][1:]), origin, 0, 0)),
        make(FlowBody, ((_to(identity), *destination[0][1:]), origin, 0, 0)),
        make(FlowBody, (_same(identity), origin, 0, 0)),
    )


_ORIGIN = encode(Origin(Kind.ENDPOINT, 0))
_SOURCE = int(Table.SOURCE), int(Priority.SOURCE)
_DESTINATION = int(Table.DESTINATION), int(Priority.ADDRESS)
_SAME = int(Table.SAME), int(Priority.ADDRESS)
_ANSWER = int(Table.ANSWER), int(Priority.ADDRESS)
_TO_GUARD, _TO_ORIENT, _TO_NEIGHBOUR = Goto(int(Table.GUARD)), Goto(int(Table.ORIENT)), Goto(int(Table.NEIGHBOUR))


def _flow(place: tuple[int, int], match: Match, actions: Actions, origin: int = PIPELINE) -> Flow:
    """Return a flow whose match is canonical as it is written: there are some for each endpoint of all."""
    table, priority = place
    return make(Flow, (make(FlowKey, (table, priority, match)), make(FlowBody, (actions, origin, 0, 0))))


def answer_flow(endpoint: Endpoint, address: IPAddress, network: int, hardware: int | None = None) -> Flow:
    """Return the flow that completes the answer to "who has this address?" in a network; `hardware` is its MAC."""
    if hardware is None:
        hardware = mac(endpoint.mac)
    where = _of_network(network)
    if isinstance(address, IPv4Address):
        asked = (where, ARP, make(Term, (f.ARP_SPA, int(address), f.ARP_SPA.ones)))
        return _flow(_ANSWER, asked, answer_actions(hardware, f.ARP_SHA))
    advertised = (IPV6, protocol(ICMPV6), exact(f.ICMPV6_TYPE, ADVERTISEMENT), exact(f.ND_TARGET, int(address)))
    return _flow(_ANSWER, (where, *advertised), answer_actions(hardware, f.ND_TLL))


def solicit_flow(endpoint: Endpoint, numbers: Numbers) -> Flow:
    """Return the flow that lets an endpoint with IPv6 ask for its neighbours' MACs."""
    hardware = mac(endpoint.mac)
    here = (exact(f.IN_PORT, endpoint.location.ofport), exact(f.ETH_SRC, hardware))
    asks = (*here, IPV6, protocol(ICMPV6), exact(f.ICMPV6_TYPE, SOLICITATION), exact(f.ND_SLL, hardware))
    origin = encode(Origin(Kind.ENDPOINT, numbers.attachment))
    return flow(Table.SOURCE, Priority.SOLICIT, asks,
                goto(Table.NEIGHBOUR, Load(f.NETWORK, numbers.network)), origin)  # fmt: skip


def has_ipv6(endpoint: Endpoint) -> bool:
    """Whether any address is IPv6."""
    return any(isinstance(a, IPv6Address) for a in endpoint.addresses)


# -- DHCP: clients reach the declared server and nobody else ------------------------------------------


def dhcp_client_flows(clients: Iterable[Endpoint | UnaddressedPort], server: Endpoint) -> Iterator[Flow]:
    """Yield the flows that take discover and request messages to the network's declared server."""
    for client in clients:
        if client.location.ofport == server.location.ofport:
            continue  # a server asks nobody
        terms = (
            exact(f.IN_PORT, client.location.ofport),
            exact(f.ETH_SRC, mac(client.mac)),
            exact(f.ETH_DST, BROADCAST_MAC),
            IPV4,
            protocol(UDP),
            exact(f.IPV4_SRC, 0),
            exact(f.IPV4_DST, BROADCAST),
            exact(f.UDP_SRC, DHCP_CLIENT),
            exact(f.UDP_DST, DHCP_SERVER),
        )
        yield flow(Table.SOURCE, Priority.DHCP, terms, (Output(server.location.ofport),))


def dhcp_answer_flows(clients: Iterable[Endpoint | UnaddressedPort], server: Endpoint) -> Iterator[Flow]:
    """Yield the flows that take the server's answers to clients by MAC, and show them to the controller.

    Only where addresses are learned from DHCP: such a client has none yet that policy could know.
    """
    origin = encode(Origin(Kind.LEARN, server.location.ofport))
    for client in clients:
        if client.location.ofport == server.location.ofport:
            continue  # a server answers others
        for address in server.addresses:
            if isinstance(address, IPv4Address):
                terms = (
                    exact(f.IN_PORT, server.location.ofport),
                    exact(f.ETH_SRC, mac(server.mac)),
                    exact(f.ETH_DST, mac(client.mac)),
                    IPV4,
                    protocol(UDP),
                    src_address(address),
                    exact(f.UDP_SRC, DHCP_SERVER),
                    exact(f.UDP_DST, DHCP_CLIENT),
                )
                show = Output(CONTROLLER, LEARN_BYTES)
                yield flow(Table.SOURCE, Priority.DHCP, terms, (Output(client.location.ofport), show), origin)


def dhcp_server_flows(server: Endpoint, attachments: Iterable[int]) -> Iterator[Flow]:
    """Yield the exceptions from the DHCP guard for the declared server; its replies are judged as any packet."""
    replies = {4: (IPV4, DHCP_SERVER, DHCP_CLIENT), 6: (IPV6, DHCPV6_SERVER, DHCPV6_CLIENT)}
    for address, attachment in zip(server.addresses, attachments, strict=True):
        family, source, destination = replies[address.version]
        terms = (
            is_(f.SRC_ATT, attachment),
            family,
            protocol(UDP),
            exact(f.UDP_SRC, source),
            exact(f.UDP_DST, destination),
        )
        yield flow(Table.GUARD, Priority.EXCEPTION + 20, terms, (TRACK,))


# -- learning ------------------------------------------------------------------------------------


def learn_flows(port: Endpoint | UnaddressedPort, network: Network) -> Iterator[Flow]:
    """Yield the flows that show the controller who claims an address on a port, and forward nothing.

    They go through the port's meter: a flood of claims must not load the controller.
    """
    here = (exact(f.IN_PORT, port.location.ofport), exact(f.ETH_SRC, mac(port.mac)))
    show = (Meter(SWITCH_METER + port.location.ofport), Output(CONTROLLER, LEARN_BYTES))
    origin = encode(Origin(Kind.LEARN, port.location.ofport))
    if "arp" in network.learn:
        terms = (*here, ARP, exact(f.ARP_SHA, mac(port.mac)))
        yield flow(Table.SOURCE, Priority.LEARN, terms, show, origin)
    if "nd" in network.learn:
        for kind in (SOLICITATION, ADVERTISEMENT):
            message = (*here, IPV6, protocol(ICMPV6), exact(f.ICMPV6_TYPE, kind))
            yield flow(Table.SOURCE, Priority.LEARN, message, show, origin)

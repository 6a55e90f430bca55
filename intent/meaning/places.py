"""Who is where: holders of addresses, routing domains, and the ways to the world."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address

from intent.model import Intents, Router
from topology.model import Endpoint, Inventory, IPAddress, UplinkPort

_CLASS_D = 224
"""First octet of multicast; what follows is reserved, and broadcast."""
_NO_HOST_OCTETS = frozenset({0, 127})


def router_of(intents: Intents, network: str) -> Router | None:
    """Return the router that joins a network to others."""
    return next((router for router in intents.routers.values() if network in router.networks), None)


def domain_of(intents: Intents, network: str) -> Sequence[str]:
    """Return the networks of a routing domain: of a router, or the one alone."""
    router = router_of(intents, network)
    return (network,) if router is None else router.networks


def holder(intents: Intents, inventory: Inventory, network: str, address: IPAddress) -> Endpoint | None:
    """Return the endpoint of a network's routing domain that holds an address; None is world."""
    networks = domain_of(intents, network)
    held = (e for e in inventory.endpoints.values() if e.network in networks and address in e.addresses)
    return next(held, None)


def neighbour(inventory: Inventory, network: str, address: IPAddress) -> Endpoint | None:
    """Return the endpoint of a network itself that holds an address."""
    return next((e for e in inventory.endpoints.values() if e.network == network and address in e.addresses), None)


def is_inside(intents: Intents, network: str, address: IPAddress) -> bool:
    """Say whether an address is of a network's routing domain, whoever holds it."""
    known = (intents.networks[name] for name in domain_of(intents, network) if name in intents.networks)
    return any(address in subnet for each in known for subnet in each.subnets)


def is_known(intents: Intents, inventory: Inventory, endpoint: Endpoint, dpid: int) -> bool:
    """Say whether a switch has anything to do with an endpoint: its own, or one that a way leads to.

    Over wires those of the networks that it has endpoints of; through tunnels those of whole routing domains.
    """
    there = endpoint.location.dpid
    if there == dpid:
        return True
    here = {e.network for e in inventory.on_switch(dpid)}
    if endpoint.network in here and inventory.linked(dpid, there):
        return True
    router = router_of(intents, endpoint.network)
    is_part = not here.isdisjoint(domain_of(intents, endpoint.network)) or (
        router is not None and any((p.name, p.location.dpid) == (router.uplink, dpid) for p in inventory.uplinks)
    )
    return is_part and inventory.tunnelled(dpid, there)


def uplinks_of(intents: Intents, inventory: Inventory, network: str, dpid: int) -> list[UplinkPort]:
    """Return the ports by which a network reaches the world from a switch; the first is the one that is taken.

    Its own comes first. Those of other switches, to which a tunnel leads, serve endpoints of the domain that are here:
    first those of connected hosts, then by datapath id. One that translates addresses serves its own switch alone.
    """
    router, networks = router_of(intents, network), domain_of(intents, network)
    named = [p for p in inventory.uplinks if router is not None and p.name == router.uplink]
    own = [p for p in named if p.location.dpid == dpid]
    if not any(e.network in networks for e in inventory.on_switch(dpid)):
        return own
    shared = (p for p in named if not p.translation.addresses)
    others = [p for p in shared if inventory.tunnelled(dpid, p.location.dpid)]
    return own + sorted(others, key=lambda p: (p.location.dpid in inventory.away, p.location.dpid))


def routers_behind(intents: Intents, port: UplinkPort) -> list[Router]:
    """Return the routers that an uplink serves, of those that have a network."""
    named = (router for router in intents.routers.values() if router.uplink == port.name)
    return [router for router in named if any(name in intents.networks for name in router.networks)]


def passes_routers(address: IPAddress) -> bool:
    """Say whether routers pass packets of an address on: one host's, and known beyond one link (RFC 6890)."""
    if isinstance(address, IPv4Address):
        first = int(address) >> 24
        return first < _CLASS_D and first not in _NO_HOST_OCTETS
    if address.is_unspecified or address.is_loopback or address.ipv4_mapped is not None:
        return False
    return not (address.is_link_local or address.is_multicast)

"""What uplinks that translate addresses must agree on with routers, networks and each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from intent.schema.documents import NetworkDoc, RouterDoc, UplinkDoc
from intent.schema.forwarding import ForwardDoc
from intent.schema.problems import Place, Problem
from intent.schema.services import parse_forwarded
from topology.packet import UDP

_DHCP = frozenset({67, 68, 546, 547})
_Held = tuple[str, int, int, int]


def translation_problems(
    uplinks: Mapping[str, UplinkDoc], routers: Mapping[str, RouterDoc], networks: Mapping[str, NetworkDoc]
) -> Iterator[Problem]:
    """Yield what is wrong with `snat` and `forwards`."""
    owners: dict[str, str] = {}
    for uplink in uplinks.values():
        if uplink.snat is None and uplink.forwards is None:
            continue
        behind = [router for router in routers.values() if router.uplink == uplink.name]
        for router in behind[1:]:
            message = f"the uplink `{uplink.name}` translates addresses, and is that of the router `{behind[0].name}`"
            yield router.problem(("uplink",), message, "give each router an uplink of its own, or do not translate")
        joined = [networks[name] for router in behind for name in router.networks if name in networks]
        yield from _snat(uplink)
        yield from _shown(uplink, joined, owners)
        yield from _forwards(uplink, joined)


def _snat(doc: UplinkDoc) -> Iterator[Problem]:
    versions: set[int] = set()
    for index, text in enumerate(doc.snat or ()):
        version = ip_address(text).version
        if version in versions:
            yield doc.problem(("snat", index), f"it is the second IPv{version} address", "keep one of each IP version")
        versions.add(version)


def _shown(doc: UplinkDoc, joined: list[NetworkDoc], owners: dict[str, str]) -> Iterator[Problem]:
    """Addresses beyond the uplink are the switch's own, and no endpoint's."""
    places: list[tuple[Place, str]] = [(("snat", index), text) for index, text in enumerate(doc.snat or ())]
    places += [(("forwards", index, "address"), forward.address) for index, forward in enumerate(doc.forwards or ())]
    for place, text in places:
        address = ip_address(text)
        if address.is_link_local:
            yield doc.problem(place, f"{text} is not known beyond one link", "choose an address that routers pass on")
        for network in joined:
            if any(address in ip_network(subnet) for subnet in network.subnets or ()):
                message = f"{text} lies in a subnet of the network `{network.name}` behind the uplink"
                yield doc.problem(place, message, "choose an address of the world beyond the uplink")
        if owners.setdefault(text, doc.name) != doc.name:
            message = f"{text} is already an address of the uplink `{owners[text]}`"
            yield doc.problem(place, message, "give each uplink its own")


def _forwards(doc: UplinkDoc, joined: list[NetworkDoc]) -> Iterator[Problem]:
    taken: list[_Held] = []
    for index, forward in enumerate(doc.forwards or ()):
        held = (forward.address, *parse_forwarded(forward.service))
        _, protocol, first, last = held
        if any(_meet(held, other) for other in taken):
            message = f"{forward.service} of {forward.address} is already forwarded"
            yield doc.problem(("forwards", index, "service"), message, "forward each port once")
        taken.append(held)
        if forward.to_port is not None and first != last:
            yield doc.problem(("forwards", index, "toPort"), "a range keeps its ports", "leave `toPort` out")
        reached = range(first, last + 1) if forward.to_port is None else range(forward.to_port, forward.to_port + 1)
        if protocol == UDP and any(port in reached for port in _DHCP):
            place: Place = ("forwards", index, "service" if forward.to_port is None else "toPort")
            yield doc.problem(place, "it would lead DHCP to an endpoint", "choose other ports than 67, 68, 546, 547")
        yield from _target(doc, index, forward, joined)


def _target(doc: UplinkDoc, index: int, forward: ForwardDoc, joined: list[NetworkDoc]) -> Iterator[Problem]:
    if forward.to.address is None:
        return
    to: IPv4Address | IPv6Address = ip_address(forward.to.address)
    place: Place = ("forwards", index, "to", "address")
    if to.version != ip_address(forward.address).version:
        yield doc.problem(place, f"{to} is of another IP version than {forward.address}", "forward to the same version")
    elif joined and not any(to in ip_network(subnet) for network in joined for subnet in network.subnets or ()):
        yield doc.problem(place, f"{to} lies in no network behind the uplink", "name one that its router reaches")


def _meet(one: _Held, other: _Held) -> bool:
    return one[:2] == other[:2] and one[2] <= other[3] and other[2] <= one[3]

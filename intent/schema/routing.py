"""What routers, uplinks and gateways must agree on with networks, endpoints and each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple, TypeAlias

from intent.model import router_mac
from intent.schema.documents import EndpointDoc, NetworkDoc, RouterDoc, UplinkDoc
from intent.schema.problems import Place, Problem, did_you_mean, echo
from intent.schema.translating import translation_problems

Block: TypeAlias = IPv4Network | IPv6Network


class Plan(NamedTuple):
    """The documents that routing is about, by name."""

    networks: Mapping[str, NetworkDoc]
    routers: Mapping[str, RouterDoc]
    uplinks: Mapping[str, UplinkDoc]
    endpoints: Mapping[str, EndpointDoc]


def routing_problems(plan: Plan) -> Iterator[Problem]:
    """Yield what is wrong with gateways, routers and uplinks."""
    for network in plan.networks.values():
        yield from _gateways(network)
    owners: dict[str, str] = {}
    for router in plan.routers.values():
        yield from _networks(plan, router, owners)
        if router.uplink is not None and router.uplink not in plan.uplinks:
            remedy = did_you_mean(router.uplink, plan.uplinks, "declare it: `kind: Uplink`")
            yield router.problem(("uplink",), f"there is no uplink {echo(router.uplink)}", remedy)
    yield from translation_problems(plan.uplinks, plan.routers, plan.networks)
    yield from _macs(plan, owners)
    yield from _overlaps(plan)
    for endpoint in plan.endpoints.values():
        yield from _taken_gateways(plan, endpoint)


def _gateways(doc: NetworkDoc) -> Iterator[Problem]:
    subnets = [ip_network(text) for text in doc.subnets or ()]
    versions: set[int] = set()
    for index, text in enumerate(doc.gateways or ()):
        address, place = ip_address(text), ("gateways", index)
        if not any(address in subnet for subnet in subnets):
            yield doc.problem(place, f"{text} lies in no subnet of the network", "choose one in `subnets`")
        elif any(_is_edge(address, subnet) for subnet in subnets if address in subnet):
            yield doc.problem(place, f"{text} names its whole subnet, not one address in it", "choose another")
        if address.version in versions:
            message = f"it is the second IPv{address.version} gateway"
            yield doc.problem(place, message, "keep one of IPv4 and one of IPv6")
        versions.add(address.version)


def _is_edge(address: object, subnet: Block) -> bool:
    """Say whether an address is a subnet's own or its broadcast address; those of two or one have none."""
    if subnet.num_addresses <= 2:  # noqa: PLR2004 (RFC 3021, RFC 6164)
        return False
    return address == subnet.network_address or (subnet.version == 4 and address == subnet.broadcast_address)  # noqa: PLR2004


def _networks(plan: Plan, router: RouterDoc, owners: dict[str, str]) -> Iterator[Problem]:
    for index, name in enumerate(router.networks):
        place: Place = ("networks", index)
        network = plan.networks.get(name)
        if network is None:
            remedy = did_you_mean(name, plan.networks, "declare it: `kind: Network`")
            yield router.problem(place, f"there is no network {echo(name)}", remedy)
        elif name in owners:
            where = "this router already" if owners[name] == router.name else f"the router `{owners[name]}`"
            yield router.problem(place, f"the network `{name}` is in {where}", "name each network in one router, once")
        elif not network.subnets or not network.gateways:
            lacks = "gateways" if network.subnets else "subnets"
            message = f"the network `{name}` has no `{lacks}`: nothing could be routed"
            yield router.problem(place, message, f"give it `{lacks}`, or leave it out")
        owners.setdefault(name, router.name)


def _macs(plan: Plan, owners: Mapping[str, str]) -> Iterator[Problem]:
    macs = {name: router.mac or router_mac(name) for name, router in plan.routers.items()}
    holders: dict[str, str] = {}
    for name, mac in macs.items():
        if mac in holders:
            message = f"{mac} is already the MAC of the router `{holders[mac]}`"
            yield plan.routers[name].problem(("mac",), message, "give each router its own")
        holders.setdefault(mac, name)
    for endpoint in plan.endpoints.values():
        router = owners.get(endpoint.network or "")
        if router is not None and endpoint.mac == macs[router]:
            message = f"{endpoint.mac} is the MAC of the router `{router}` of its network"
            yield endpoint.problem(("mac",), message, "give each its own")


def _overlaps(plan: Plan) -> Iterator[Problem]:
    """Addresses are unique in a routing domain, and among the domains that share an uplink."""
    blocks: dict[tuple[str, str], list[tuple[Block, str, int, str]]] = {}
    for router in plan.routers.values():
        key = ("uplink", router.uplink) if router.uplink else ("router", router.name)
        for index, name in enumerate(router.networks):
            for text in (plan.networks[name].subnets or ()) if name in plan.networks else ():
                blocks.setdefault(key, []).append((ip_network(text), name, index, router.name))
    for found in blocks.values():
        widest: tuple[Block, str] | None = None
        for block, name, index, owner in sorted(found, key=lambda f: (f[0].version, f[0])):
            if widest is not None and name != widest[1] and _overlap(block, widest[0]):
                message = f"{block} of the network `{name}` overlaps {widest[0]} of the network `{widest[1]}`"
                remedy = "networks that are routed to each other, or by one uplink, need subnets of their own"
                yield plan.routers[owner].problem(("networks", index), message, remedy)
            if widest is None or not _overlap(block, widest[0]):
                widest = block, name


def _overlap(one: Block, other: Block) -> bool:
    return one.version == other.version and one.overlaps(other)


def _taken_gateways(plan: Plan, doc: EndpointDoc) -> Iterator[Problem]:
    network = plan.networks.get(doc.network or "")
    gateways = (network.gateways or ()) if network is not None else ()
    for index, text in enumerate(doc.addresses or ()):
        if text in gateways:
            message = f"{text} is a gateway of the network `{doc.network}`"
            yield doc.problem(("addresses", index), message, "choose another address")

"""What the driver wants of the controller for the way out and in, as documents. Pure.

All of it can be read with `ringfence get`; operators override what is published with any policy of an
earlier tier, or of a lower order in this one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from docker_driver.config import Outside
from docker_driver.firewall import Target
from docker_driver.hostlink import HOST_MAC, Way
from docker_driver.state import Endpoint, Network

OWNER = "docker-driver"
LABEL = "docker.published"
"""Label of endpoints that publish ports, so that the policy about them means them alone."""
POLICY_PREFIX = "docker-published-"
ROUTER_PREFIX = "docker-"
_TAG = 12
"""Hex digits of an endpoint's id in its label and in the name of its policy."""

Document: TypeAlias = dict[str, Any]
Key: TypeAlias = tuple[str, str]
"""Kind and name."""


@dataclasses.dataclass(frozen=True, slots=True)
class Wishes:
    """What should be there, in the kernel and at the controller; nothing of it where no network has a gateway."""

    ways: tuple[Way, ...] = ()
    targets: tuple[Target, ...] = ()
    documents: tuple[Document, ...] = ()
    mtu: int = 0
    networks: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = dataclasses.field(default_factory=dict)
    """Subnets and gateways by Ringfence network: their documents must say so too."""


def published_tag(endpoint: Endpoint) -> str:
    """Return the value of the label `docker.published`."""
    return endpoint.uid[:_TAG]


def iface_id(settings: Outside) -> str:
    """Return the `iface-id` of the switch's end of the host's interface."""
    return f"{settings.uplink}.uplink"


def router_name(network: str) -> str:
    """Return the name of a network's router."""
    return f"{ROUTER_PREFIX}{network}"


def router_mac(network: str) -> str:
    """Return the MAC of a network's router: one on every host."""
    tail = hashlib.sha256(f"docker/{network}".encode()).hexdigest()[:8]
    return ":".join(("02", "52", *(tail[i : i + 2] for i in range(0, 8, 2))))


def wishes(networks: Iterable[Network], endpoints: Iterable[Endpoint], settings: Outside, instance: str) -> Wishes:
    """Return what these networks and endpoints want; `instance` tells this driver's policies from another's."""
    open_networks = _open(networks)
    if not open_networks:
        return Wishes()
    inside = {n.uid: n for n in open_networks.values()}
    publishing = [e for e in endpoints if e.published and e.joined and e.network in inside]
    return Wishes(
        ways=tuple(way for name, network in sorted(open_networks.items()) for way in _ways(name, network)),
        targets=tuple(sorted(target for e in publishing for target in _targets(e))),
        documents=(
            _uplink(settings),
            *(_router(name, settings) for name in sorted(open_networks)),
            *(_policy(e, settings, instance) for e in sorted(publishing, key=lambda e: e.uid)),
        ),
        mtu=max(network.mtu for network in open_networks.values()),
        networks={name: (network.subnets, network.gateways) for name, network in sorted(open_networks.items())},
    )


def network_document(name: str, subnets: tuple[str, ...], gateways: tuple[str, ...]) -> Document:
    """Return the document of a network that nobody else declared."""
    document: Document = {"kind": "Network", "name": name, "subnets": list(subnets)}
    return {**document, "gateways": list(gateways)} if gateways else document


def _open(networks: Iterable[Network]) -> dict[str, Network]:
    """Return networks with a way out by their Ringfence names; of two with one name the first has it."""
    found: dict[str, Network] = {}
    for network in sorted(networks, key=lambda n: n.uid):
        if network.name and network.gateways:
            found.setdefault(network.name, network)
    return found


def _ways(name: str, network: Network) -> Iterator[Way]:
    for subnet in network.subnets:
        for gateway in network.gateways:
            if ipaddress.ip_address(gateway) in ipaddress.ip_network(subnet):
                yield Way(subnet, gateway, router_mac(name), network.mtu)


def _targets(endpoint: Endpoint) -> Iterator[Target]:
    for address in endpoint.addresses:
        for published in endpoint.published:
            yield Target(published, address.partition("/")[0])


def _uplink(settings: Outside) -> Document:
    return {
        "kind": "Uplink",
        "name": settings.uplink,
        "binding": {"ifaceId": iface_id(settings)},
        "nextHop": HOST_MAC,
    }


def _router(name: str, settings: Outside) -> Document:
    return {
        "kind": "Router",
        "name": router_name(name),
        "networks": [name],
        "uplink": settings.uplink,
        "mac": router_mac(name),
    }


def _policy(endpoint: Endpoint, settings: Outside, instance: str) -> Document:
    ports = sorted({f"{p.protocol}/{p.port}" for p in endpoint.published})
    words = ", ".join(f"{p.host_address or '*'}:{p.host_port}->{p.protocol}/{p.port}" for p in endpoint.published)
    rule = {
        "name": "published",
        "action": "allow",
        "from": [{"world": True}],
        "to": [{"labels": {LABEL: published_tag(endpoint)}}],
        "services": ports,
    }
    return {
        "kind": "Policy",
        "name": f"{POLICY_PREFIX}{instance}-{published_tag(endpoint)}",
        "tier": settings.tier,
        "order": settings.order,
        "owner": OWNER,
        "description": f"Published by docker run -p: {words}"[:1000],
        "rules": [rule],
    }


def is_ours(document: Mapping[str, Any], settings: Outside, instance: str) -> bool:
    """Say whether a document was made here, by name and by what only we write."""
    name = str(document.get("name", ""))
    match document.get("kind"):
        case "Policy":
            return name.startswith(f"{POLICY_PREFIX}{instance}-") and document.get("owner") == OWNER
        case "Router":
            network = name.removeprefix(ROUTER_PREFIX)
            ours = document.get("uplink") == settings.uplink and document.get("networks") == [network]
            return ours and document.get("mac") == router_mac(network)
        case "Uplink":
            return name == settings.uplink and document.get("nextHop") == HOST_MAC
    return False

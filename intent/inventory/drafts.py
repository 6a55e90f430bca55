"""One would-be endpoint: examined by itself, before anybody disputes anything."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from intent.inventory.checks import address_problem, mac_problem, name_problem, sort_addresses
from intent.inventory.declared import Pairs
from intent.inventory.values import ClaimKey, address_key, mac_key, name_key, port_key
from intent.model import Network
from topology.model import NAME_LABEL, NETWORK_LABEL, Endpoint, IPAddress, Location, NamedPort

Refusal: TypeAlias = tuple[str, str]
"""Problem and remedy."""


class Draft(NamedTuple):
    """Row and document merged, nothing checked."""

    subject: str
    name: str
    network: str | None
    labels: Pairs
    mac: str | None
    addresses: tuple[IPAddress, ...]
    ports: tuple[NamedPort, ...]
    from_api: bool


class Candidate(NamedTuple):
    """Valid by itself; disputes are not settled yet."""

    endpoint: Endpoint
    """With its declared addresses, perhaps none."""
    network: Network
    attachment: str
    keys: tuple[ClaimKey, ...]
    """Everything it must hold to be an endpoint: its addresses, and what they belong to."""
    address_keys: tuple[ClaimKey, ...]
    from_api: bool


def examine(draft: Draft, location: Location, network: Network | None) -> Candidate | Refusal:
    """Return the candidate, or why it cannot be one."""
    if problem := name_problem(draft.name):
        return problem, "choose another iface-id, or bind an Endpoint document to the port"
    if draft.network is None:
        return "it names no network", "set external_ids:ringfence:network, or `network` in its document"
    if network is None:
        return f"there is no network {draft.network[:80]!r}", "apply a Network document of that name, or correct it"
    if draft.mac is None:
        return "it has no MAC", "set external_ids:attached-mac, or `mac` in its document"
    return _address_refusal(draft, draft.mac, network) or _candidate(draft, draft.mac.lower(), location, network)


def _address_refusal(draft: Draft, mac: str, network: Network) -> Refusal | None:
    problems = [mac_problem(mac.lower()), *[address_problem(a, network) for a in draft.addresses]]
    if wrong := [problem for problem in problems if problem]:
        return "; ".join(wrong), f"correct it, or the subnets of network {network.name}"
    if not draft.addresses and not network.learn:
        return "it has no address, and its network learns none", "declare its addresses, or set `learn` of the network"
    return None


def _candidate(draft: Draft, mac: str, location: Location, network: Network) -> Candidate:
    endpoint = Endpoint(
        name=draft.name,
        network=network.name,
        labels={**dict(draft.labels), NETWORK_LABEL: network.name, NAME_LABEL: draft.name},
        mac=mac,
        addresses=sort_addresses(draft.addresses),
        ports=draft.ports,
        location=location,
    )
    addresses = tuple(address_key(network.name, address) for address in endpoint.addresses)
    return Candidate(
        endpoint=endpoint,
        network=network,
        attachment=endpoint.attachment,
        keys=(name_key(draft.name), port_key(location), mac_key(network.name, mac), *addresses),
        address_keys=addresses,
        from_api=draft.from_api,
    )

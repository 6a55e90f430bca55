"""The values that `build` and `learn` speak in."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from ipaddress import IPv4Address
from typing import Final, NamedTuple, TypeAlias

from topology.model import Endpoint, Inventory, IPAddress, Location, Report, UnaddressedPort


class ClaimKey(NamedTuple):
    """Something that only one attachment may hold."""

    scope: str
    """Name of the network for addresses and MACs; empty for endpoint names and switch ports."""
    thing: str
    """`10.0.0.1`, `02:00:00:00:00:01`, `name/web-1` or `port/<dpid>/<ofport>`."""


NAME = "name/"
"""How the key of an endpoint's name begins."""
Claims: TypeAlias = Mapping[ClaimKey, str]
"""The attachment that held each thing first."""
Learned: TypeAlias = Mapping[str, tuple[IPAddress, ...]]
"""Addresses learned for each attachment, in the order they were seen."""


@dataclasses.dataclass(frozen=True, slots=True)
class Built:
    """What `build` makes of a site and intents."""

    inventory: Inventory
    claims: Claims
    """To be made durable, and given to the next `build`."""
    learned: Learned
    """Those learned addresses that still hold; likewise."""
    declared: AbstractSet[ClaimKey]
    """Every address that some document or row declares, plugged in or not: nobody may learn it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sighting:
    """A switch saw a port use an address (and checked that the MAC is the port's)."""

    port: Endpoint | UnaddressedPort
    source: str
    """`arp`, `nd` or `dhcp`."""
    address: IPAddress


@dataclasses.dataclass(frozen=True, slots=True)
class Learning:
    """What `learn` says: the same `learned` object when there is nothing new."""

    learned: Learned
    report: Report | None = None
    """Why the address was refused."""


def attachment_of(location: Location, name: str) -> str:
    """Return the attachment of an endpoint of this name there; equals `Endpoint.attachment`."""
    return f"{location.uid}/{name}"


def address_key(network: str, address: IPAddress) -> ClaimKey:
    """Return the key of an address in a network."""
    said = _dotted(int(address)) if isinstance(address, IPv4Address) else _text(address)
    return _make(ClaimKey, (network, said))


_make: Final = tuple.__new__
"""Makes a named tuple in half the time: there is one for each address."""


@functools.lru_cache(maxsize=131072)
def _dotted(number: int) -> str:
    """A number is looked up sooner than an address."""
    return str(IPv4Address(number))


@functools.lru_cache(maxsize=131072)
def _text(address: IPAddress) -> str:
    """Writing an IPv6 address takes ten times as long as looking it up."""
    return str(address)


def mac_key(network: str, mac: str) -> ClaimKey:
    """Return the key of a MAC in a network."""
    return ClaimKey(network, mac)


def name_key(name: str) -> ClaimKey:
    """Return the key of an endpoint's name."""
    return ClaimKey("", NAME + name)


def port_key(location: Location) -> ClaimKey:
    """Return the key of a switch port."""
    return ClaimKey("", f"port/{location.dpid:016x}/{location.ofport}")

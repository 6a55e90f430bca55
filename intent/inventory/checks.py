"""What a name, label, MAC, address and named port may be. Each check returns a problem in words, or None."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from ipaddress import IPv4Address

from intent.model import Network
from topology.model import IPAddress

MAX_NAME = 253
RESERVED_PREFIX = "ringfence/"
"""Label keys of this prefix are implicit: selectors may read them, nobody may set them."""
MAX_PORT = 65535
GROUP_BIT = 1

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
"""Endpoint names: all that the schema allows, and what interface names and iface-ids are like."""
PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9](?:[a-z0-9-]{0,13}[a-z0-9])?")
"""RFC 6335, section 5.1, in lower case."""
_DOTTED = re.compile(r"[0-9]+(?:\.[0-9]+){3}")
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_LABEL_WORD = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_LABEL_KEY = re.compile(rf"(?:[a-z0-9](?:[a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_LABEL_WORD}")
_LABEL_VALUE = re.compile(rf"(?:{_LABEL_WORD})?")
_NO_HOSTS, _MULTICAST = (0, 127), 224
"""First octets: "this" network and the loopback's; the least of multicast addresses (RFC 6890, RFC 5771)."""


def name_problem(name: str) -> str | None:
    """Tell what is wrong with the name of an endpoint."""
    if not NAME.fullmatch(name):
        return f"{name[:80]!r} is no endpoint name: 1 to {MAX_NAME} letters, digits, '.', '_' and '-'"
    if _DOTTED.fullmatch(name):
        return f"{name} looks like an address and cannot be an endpoint's name"
    return None


def label_problem(key: str, value: str) -> str | None:
    """Tell what is wrong with a label (Kubernetes: "Labels and Selectors", syntax)."""
    if not _LABEL_KEY.fullmatch(key):
        return f"{key[:80]!r} is no label key"
    if not _LABEL_VALUE.fullmatch(value):
        return f"{value[:80]!r} is no value for label {key}: at most 63 letters, digits, '.', '_' and '-'"
    return None


def mac_problem(mac: str) -> str | None:
    """Tell what is wrong with a MAC (lower case)."""
    if not _MAC.fullmatch(mac):
        return f"{mac[:80]!r} is no MAC such as 02:00:00:00:00:01"
    if int(mac[:2], 16) & GROUP_BIT:
        return f"MAC {mac} has the group bit: it is a multicast address"
    if mac == "00:00:00:00:00:00":
        return "the MAC is all zeros"
    return None


def address_problem(address: IPAddress, network: Network) -> str | None:
    """Tell why an endpoint of the network cannot have the address."""
    if not _is_host_address(address):
        return f"{address} is no address that one host can have"
    if address in network.gateways:
        return f"{address} is a gateway of network {network.name}"
    if network.subnets and not any(address in subnet for subnet in network.subnets):
        return f"{address} is outside the subnets of network {network.name}"
    return None


def _is_host_address(address: IPAddress) -> bool:
    """Unicast, and not the loopback's, the unspecified, or another address in disguise."""
    if isinstance(address, IPv4Address):
        first = int(address) >> 24
        return first not in _NO_HOSTS and first < _MULTICAST  # reserved ones are above
    if address.is_multicast or address.is_loopback or address.is_unspecified:
        return False
    return address.ipv4_mapped is None and address.scope_id is None


def sort_addresses(addresses: Iterable[IPAddress]) -> tuple[IPAddress, ...]:
    """Return the addresses once each, IPv4 first."""
    found = tuple(addresses)
    order = [(address.version, int(address)) for address in found]
    if all(one < other for one, other in itertools.pairwise(order)):
        return found  # as documents are, once they are read
    return tuple(sorted(set(found), key=lambda a: (a.version, int(a))))

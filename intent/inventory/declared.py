"""Read what an OVSDB Interface declares of itself in `external_ids`.

Keys: `iface-id`, `attached-mac`, and with prefix `ringfence:`: `ip` (one or several, comma or space
between), `network`, `label/<key>`, `port/<name>` = `tcp/80`. A key of ours that cannot be understood
makes the whole declaration void: a mistyped label must not quietly become no label.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import TypeAlias, TypeVar

from intent.inventory.checks import MAX_PORT, PORT_NAME, RESERVED_PREFIX, label_problem, mac_problem, sort_addresses
from topology.model import IPAddress, NamedPort
from topology.packet import SCTP, TCP, UDP

IFACE_ID = "iface-id"
ATTACHED_MAC = "attached-mac"
PREFIX = "ringfence:"
MAX_ADDRESSES = 64
MAX_LABELS = 64
MAX_PORTS = 64

_KNOWN = ("ip", "network", "label/", "port/")
_PROTOCOLS = {"tcp": TCP, "udp": UDP, "sctp": SCTP}
_SEPARATORS = re.compile(r"[,\s]+")
_PORT = re.compile(r"(tcp|udp|sctp)/([0-9]{1,5})")
_MAX_CACHED = 65536

T = TypeVar("T")
Pairs: TypeAlias = tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Declared:
    """What a row says; None or empty where it says nothing."""

    iface_id: str | None = None
    mac: str | None = None
    network: str | None = None
    addresses: tuple[IPAddress, ...] = ()
    labels: Pairs = ()
    ports: tuple[NamedPort, ...] = ()
    void: tuple[str, ...] = ()
    """Problems; any makes the row no endpoint."""
    refused_labels: tuple[str, ...] = ()
    """Keys that nobody may set; the rest of the row stands."""

    @property
    def anything(self) -> bool:
        """The row claims to be an endpoint."""
        said = (self.iface_id, self.mac, self.network, self.addresses, self.labels, self.ports, self.void)
        return any(said)


def read(external_ids: Mapping[str, str]) -> Declared:
    """Read the external_ids of a row; never raises."""
    return _read(tuple(external_ids.items()))


class _Problem(Exception):
    """One key cannot be understood."""


@functools.lru_cache(maxsize=_MAX_CACHED)
def _read(unsorted: Pairs) -> Declared:
    """Pure, and asked for the same rows at every build: hence the cache."""
    pairs = tuple(sorted(unsorted))
    ids = dict(pairs)
    problems: list[str] = []
    attempt = functools.partial(_attempt, problems)
    labels = {k.removeprefix("ringfence:label/"): v for k, v in pairs if k.startswith("ringfence:label/")}
    reserved = tuple(key for key in labels if key.startswith(RESERVED_PREFIX))
    _check_keys(pairs, problems)
    return Declared(
        iface_id=ids.get(IFACE_ID) or None,
        mac=attempt(lambda: _mac(ids.get(ATTACHED_MAC)), None),
        network=ids.get("ringfence:network") or None,
        addresses=attempt(lambda: _addresses(ids.get("ringfence:ip", "")), ()),
        labels=attempt(lambda: _labels({k: v for k, v in labels.items() if k not in reserved}), ()),
        ports=attempt(lambda: _ports(pairs), ()),
        void=tuple(problems),
        refused_labels=reserved,
    )


def _attempt(problems: list[str], read_it: Callable[[], T], otherwise: T) -> T:
    try:
        return read_it()
    except _Problem as problem:
        problems.append(str(problem))
        return otherwise


def _check_keys(pairs: Pairs, problems: list[str]) -> None:
    for key, _ in pairs:
        tail = key.removeprefix(PREFIX)
        if tail == key or tail in ("ip", "network") or tail.startswith(("label/", "port/")):
            continue
        near = difflib.get_close_matches(tail[:80], _KNOWN, 1)
        hint = f"; did you mean {PREFIX}{near[0]}?" if near else ""
        problems.append(f"external_ids key {key[:80]!r} is unknown{hint}")


def _mac(text: str | None) -> str | None:
    if not text:
        return None
    mac = text.lower()
    if problem := mac_problem(mac):
        raise _Problem(f"external_ids:{ATTACHED_MAC}: {problem}")
    return mac


def _addresses(text: str) -> tuple[IPAddress, ...]:
    words = [word for word in _SEPARATORS.split(text) if word]
    if len(words) > MAX_ADDRESSES:
        raise _Problem(f"external_ids:ringfence:ip has over {MAX_ADDRESSES} addresses")
    return sort_addresses(map(_address, words))


def _address(word: str) -> IPAddress:
    try:
        return ip_address(word)
    except ValueError:
        raise _Problem(f"external_ids:ringfence:ip: {word[:80]!r} is no IP address") from None


def _labels(labels: Mapping[str, str]) -> Pairs:
    if len(labels) > MAX_LABELS:
        raise _Problem(f"external_ids has over {MAX_LABELS} labels")
    for key, value in labels.items():
        if problem := label_problem(key, value):
            raise _Problem(f"external_ids:ringfence:label/: {problem}")
    return tuple(labels.items())


def _ports(pairs: Pairs) -> tuple[NamedPort, ...]:
    prefix = "ringfence:port/"
    ports = {_named_port(key.removeprefix(prefix), value) for key, value in pairs if key.startswith(prefix)}
    if len(ports) > MAX_PORTS:
        raise _Problem(f"external_ids has over {MAX_PORTS} named ports")
    return tuple(sorted(ports))


def _named_port(name: str, text: str) -> NamedPort:
    found = _PORT.fullmatch(text)
    if not PORT_NAME.fullmatch(name) or found is None or not 0 < int(found[2]) <= MAX_PORT:
        where = f"external_ids:ringfence:port/{name[:80]}"
        raise _Problem(f"{where}: {text[:80]!r} must be like tcp/80 (and the name in lower case)")
    return NamedPort(name, _PROTOCOLS[found[1]], int(found[2]))

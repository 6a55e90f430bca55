"""What we want a port, its interface, or a tunnel to be. Pure."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Mapping

from ovsdb.errors import EnsureError
from ovsdb.rows import MAX_KEY, MAX_PAIRS, MAX_TEXT
from topology.site import OWNER_KEY

PORT_TYPES = frozenset({"", "system", "internal", "patch", "geneve", "vxlan", "gre"})
TUNNEL_TYPES = ("geneve", "vxlan", "gre")
VLAN_MODES = frozenset({"access", "trunk", "native-tagged", "native-untagged", "dot1q-tunnel"})
FLOW = "flow"
"""A tunnel's address or key that flows set for each packet (ovs-vswitchd.conf.db(5), options:remote_ip)."""
MIN_MTU, MAX_MTU = 68, 65535
MAX_VLAN = 4094
MAX_OFPORT = 65279

_NAME = re.compile(r"[!-.0-~]{1,255}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclasses.dataclass(frozen=True, slots=True)
class Vlan:
    """How a port treats VLANs where the bridge forwards by itself (NORMAL); all empty: not at all."""

    tag: int | None = None
    """Access VLAN, or the native one of a trunk; 1..4094."""
    trunks: frozenset[int] = frozenset()
    """VLANs that a trunk carries; empty for all."""
    mode: str | None = None
    """None lets Open vSwitch choose: access with a tag, else trunk."""


@dataclasses.dataclass(frozen=True, slots=True)
class PortWish:
    """A port with one interface of the same name on our bridge. What is None is left as it is."""

    bridge: str
    owner: str
    name: str
    type: str = ""
    """Empty for a network device that exists; `internal` makes one; `patch` needs options:peer."""
    external_ids: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Keys of the interface to set; others are left alone."""
    ofport_request: int | None = None
    options: Mapping[str, str] | None = None
    """All options of the interface: others are removed."""
    vlan: Vlan | None = None
    mac: str | None = None
    """MAC address of an internal device, lower case."""
    mtu: int | None = None
    """Largest IP packet of the device, 68..65535 bytes."""
    bfd: Mapping[str, str] | None = None
    """Keys of `bfd` to set, such as `enable: "true"`; others are left alone."""


@dataclasses.dataclass(frozen=True, slots=True)
class TunnelWish:
    """A tunnel port on our bridge; by default one whose far end and key flows choose for each packet."""

    bridge: str
    owner: str
    name: str
    type: str
    """`geneve`, `vxlan` or `gre`."""
    remote: str = FLOW
    """IP address of the far end, or `flow`."""
    local: str = ""
    """IP address that packets come from and go to on this host, `flow`, or empty for the route's choice."""
    key: str = FLOW
    """VNI or GRE key, `flow`, or empty for none."""
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Further options, such as `csum: "true"`, `dst_port: "6081"`."""
    external_ids: Mapping[str, str] = dataclasses.field(default_factory=dict)
    ofport_request: int | None = None
    bfd: Mapping[str, str] | None = None

    @property
    def port(self) -> PortWish:
        """The port that this is.

        Raises:
            EnsureError: a type, an address or a key that is none.
        """
        if self.type not in TUNNEL_TYPES:
            raise EnsureError(f"tunnel {self.name}: type {self.type[:40]!r} is none of {', '.join(TUNNEL_TYPES)}")
        own = {"remote_ip": self.remote, "local_ip": self.local, "key": self.key}
        twice = sorted(own.keys() & self.options.keys())
        if twice:
            raise EnsureError(f"tunnel {self.name}: options {', '.join(twice)} stand in fields of their own")
        _check_end(self.name, "remote", self.remote)
        if self.local:
            _check_end(self.name, "local", self.local)
        _check_key(self.name, self.type, self.key)
        return PortWish(
            bridge=self.bridge,
            owner=self.owner,
            name=self.name,
            type=self.type,
            external_ids=self.external_ids,
            ofport_request=self.ofport_request,
            options={**{key: value for key, value in own.items() if value}, **self.options},
            bfd=self.bfd,
        )


def check_port(wish: PortWish) -> None:
    """Check everything that can be checked without the database.

    Raises:
        EnsureError: with the field and what it may be.
    """
    check_name("port", wish.name)
    if wish.type not in PORT_TYPES:
        raise EnsureError(f"port {wish.name}: type {wish.type[:40]!r} is none of {', '.join(sorted(PORT_TYPES))}")
    if wish.type == "patch" and not (wish.options or {}).get("peer"):
        raise EnsureError(f"port {wish.name}: a patch port needs options peer, the name of the port it leads to")
    if wish.mac is not None and not _MAC.fullmatch(wish.mac):
        raise EnsureError(f"port {wish.name}: mac {wish.mac[:40]!r} must be 6 pairs of lower-case hex digits, colons")
    if wish.mac is not None and int(wish.mac[:2], 16) & 1:
        raise EnsureError(
            f"port {wish.name}: mac {wish.mac} is a group address; clear the lowest bit of the first pair"
        )
    _check_range(wish.name, "mtu", wish.mtu, MIN_MTU, MAX_MTU)
    _check_range(wish.name, "ofport_request", wish.ofport_request, 1, MAX_OFPORT)
    for what, pairs in (("external_ids", wish.external_ids), ("options", wish.options), ("bfd", wish.bfd)):
        check_pairs(wish.name, what, pairs or {})
    _check_vlan(wish.name, wish.vlan or Vlan())


def check_name(what: str, name: str) -> None:
    """Refuse what cannot name a bridge, a port or a mirror.

    Raises:
        EnsureError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise EnsureError(f"{what} name {name[:80]!r}: 1 to 255 printable characters, no space and no slash")


def check_pairs(name: str, what: str, pairs: Mapping[str, str | None]) -> None:
    """Refuse a map that is too large, and the owner's mark in it.

    Raises:
        EnsureError: it is.
    """
    if OWNER_KEY in pairs:
        raise EnsureError(f"interface {name}: {what}:{OWNER_KEY} is the mark of its owner and cannot be set")
    if len(pairs) > MAX_PAIRS:
        raise EnsureError(f"interface {name}: {what} has over {MAX_PAIRS} keys")
    for key, value in pairs.items():
        if not 0 < len(key) <= MAX_KEY or len(value or "") > MAX_TEXT:
            raise EnsureError(f"interface {name}: {what}:{key[:80]} is empty or too long (value: {MAX_TEXT})")


def _check_range(name: str, what: str, value: int | None, least: int, most: int) -> None:
    if value is not None and not least <= value <= most:
        raise EnsureError(f"port {name}: {what} {value} is not {least}..{most}")


def _check_vlan(name: str, vlan: Vlan) -> None:
    _check_range(name, "VLAN tag", vlan.tag, 1, MAX_VLAN)
    for trunk in vlan.trunks:
        _check_range(name, "trunk VLAN", trunk, 1, MAX_VLAN)
    if vlan.mode is not None and vlan.mode not in VLAN_MODES:
        raise EnsureError(f"port {name}: VLAN mode {vlan.mode[:40]!r} is none of {', '.join(sorted(VLAN_MODES))}")
    if vlan.mode == "access" and vlan.tag is None:
        raise EnsureError(f"port {name}: an access port needs a VLAN tag")
    if vlan.mode == "access" and vlan.trunks:
        raise EnsureError(f"port {name}: an access port carries no trunks; choose one of the two")


def _check_end(name: str, what: str, address: str) -> None:
    if address == FLOW:
        return
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise EnsureError(f"tunnel {name}: {what} {address[:60]!r} is neither an IP address nor `{FLOW}`") from None


def _check_key(name: str, kind: str, key: str) -> None:
    most = (1 << 32) - 1 if kind == "gre" else (1 << 24) - 1
    if key in ("", FLOW) or (key.isascii() and key.isdigit() and len(key) <= len(str(most)) and int(key) <= most):
        return
    raise EnsureError(f"tunnel {name}: key {key[:40]!r} is no number up to {most}, nor `{FLOW}`, nor empty")

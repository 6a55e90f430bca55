"""Watching traffic: mirrors, and flow records (NetFlow, sFlow, IPFIX) sent to collectors."""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import ClassVar

from ovsdb.columns import Columns
from ovsdb.errors import EnsureError
from ovsdb.port_plans import our_bridge
from ovsdb.port_wishes import MAX_VLAN, check_name
from ovsdb.scene import Held, Query, Scene, by_name
from ovsdb.session import Operation
from ovsdb.settle import Place
from ovsdb.target import MAX_PORT
from ovsdb.wish import MAX_TARGET, in_range, ours, port_on

MAX_COLLECTORS = 16
MAX_MIRRORED = 1000
"""Ports of one mirror."""
MIN_SNAPLEN, MAX_SNAPLEN = 14, 65535


@dataclasses.dataclass(frozen=True, slots=True)
class MirrorWish:
    """Copies of what ports of our bridge receive (`sources`) and send (`destinations`), to a port or a VLAN."""

    bridge: str
    owner: str
    name: str
    output_port: str = ""
    output_vlan: int | None = None
    select_all: bool = False
    sources: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    vlans: frozenset[int] = frozenset()
    """Only packets of these; empty for all."""
    snaplen: int | None = None
    """Bytes of a packet that are copied; None for all."""

    def check(self) -> None:
        """Refuse what cannot be."""
        check_name("mirror", self.name)
        if bool(self.output_port) == (self.output_vlan is not None):
            raise EnsureError(f"mirror {self.name}: give an output port or an output VLAN, one of the two")
        if not (self.select_all or self.sources or self.destinations or self.vlans):
            raise EnsureError(f"mirror {self.name}: select ports or VLANs, or all")
        if len(self.sources) + len(self.destinations) > MAX_MIRRORED:
            raise EnsureError(f"mirror {self.name}: over {MAX_MIRRORED} ports; select all instead")
        in_range(f"mirror {self.name}: output_vlan", self.output_vlan, 1, MAX_VLAN)
        in_range(f"mirror {self.name}: snaplen", self.snaplen, MIN_SNAPLEN, MAX_SNAPLEN)
        for vlan in self.vlans:
            in_range(f"mirror {self.name}: VLAN", vlan, 0, MAX_VLAN)

    def queries(self) -> list[Query]:
        """Return the bridge, its mirrors of that name, and the ports."""
        ports = sorted({*self.sources, *self.destinations, self.output_port} - {""})
        return [*by_name("Bridge", self.bridge), *by_name("Mirror", self.name), *by_name("Port", *ports)]

    def plan(self, scene: Scene) -> list[Operation]:
        """Return what makes the mirror so."""
        ports = {name: self._port(scene, name).uid for name in {*self.sources, *self.destinations}}
        wanted: Columns = {
            "name": self.name,
            "select_all": self.select_all,
            "select_src_port": frozenset(ports[name] for name in self.sources),
            "select_dst_port": frozenset(ports[name] for name in self.destinations),
            "select_vlan": self.vlans,
            "output_port": self._port(scene, self.output_port).uid if self.output_port else None,
            "output_vlan": self.output_vlan,
            "snaplen": self.snaplen,
        }
        place, child = self._place(scene)
        return place.ensure(child, wanted)

    def removal(self, scene: Scene) -> list[Operation]:
        """Return what takes it away."""
        place, child = self._place(scene)
        return place.remove(child)

    def _port(self, scene: Scene, name: str) -> Held:
        return port_on(scene, self.bridge, self.owner, name)

    def _place(self, scene: Scene) -> tuple[Place, Held | None]:
        """Return where the mirror hangs, and the one of this name there: other bridges may have theirs."""
        bridge = our_bridge(scene, self.bridge, self.owner)
        held = (scene.get(uid) for uid in bridge.columns["mirrors"])
        child = next((row for row in held if row is not None and row.table == "Mirror"), None)
        return Place("Mirror", bridge, "mirrors", self.owner), child


@dataclasses.dataclass(frozen=True, slots=True)
class _Export:
    """Flow records of everything on our bridge."""

    bridge: str
    owner: str
    targets: tuple[str, ...]
    """Collectors: `192.0.2.1:2055`, `[2001:db8::1]:2055`."""

    TABLE: ClassVar[str] = ""
    COLUMN: ClassVar[str] = ""

    def check(self) -> None:
        """Refuse what cannot be."""
        if not 0 < len(self.targets) <= MAX_COLLECTORS:
            raise EnsureError(f"{self.TABLE} of bridge {self.bridge}: give 1 to {MAX_COLLECTORS} collectors")
        for target in self.targets:
            check_collector(target)
        for what, value, least, most in self._ranges():
            in_range(f"{self.TABLE} of bridge {self.bridge}: {what}", value, least, most)

    def queries(self) -> list[Query]:
        """Return the bridge, and our rows of the table."""
        return [*by_name("Bridge", self.bridge), ours(self.TABLE, self.owner)]

    def plan(self, scene: Scene) -> list[Operation]:
        """Return what makes it so."""
        place, child = self._place(scene)
        return place.ensure(child, {"targets": frozenset(self.targets), **self._columns()})

    def removal(self, scene: Scene) -> list[Operation]:
        """Return what takes it away."""
        place, child = self._place(scene)
        return place.remove(child)

    def _place(self, scene: Scene) -> tuple[Place, Held | None]:
        bridge = our_bridge(scene, self.bridge, self.owner)
        return Place(self.TABLE, bridge, self.COLUMN, self.owner), scene.get(bridge.columns[self.COLUMN])

    def _columns(self) -> Columns:
        """Return the columns besides the targets."""
        return {}

    def _ranges(self) -> tuple[tuple[str, int | None, int, int], ...]:
        """Return what to check: (field, value, least, most)."""
        return ()


@dataclasses.dataclass(frozen=True, slots=True)
class NetflowWish(_Export):
    """NetFlow version 5."""

    active_timeout_s: int = 0
    """Seconds between two records of a flow that lasts; 0 for the default (600), -1 for never."""
    engine_id: int | None = None
    engine_type: int | None = None
    add_id_to_interface: bool = False

    TABLE: ClassVar[str] = "NetFlow"
    COLUMN: ClassVar[str] = "netflow"

    def _columns(self) -> Columns:
        return {
            "active_timeout": self.active_timeout_s,
            "engine_id": self.engine_id,
            "engine_type": self.engine_type,
            "add_id_to_interface": self.add_id_to_interface,
        }

    def _ranges(self) -> tuple[tuple[str, int | None, int, int], ...]:
        return (
            ("active_timeout_s", self.active_timeout_s, -1, 1 << 30),
            ("engine_id", self.engine_id, 0, 255),
            ("engine_type", self.engine_type, 0, 255),
        )


@dataclasses.dataclass(frozen=True, slots=True)
class SflowWish(_Export):
    """sFlow version 5."""

    sampling: int | None = None
    """One packet of so many; None for the default (400)."""
    polling_s: int | None = None
    header_bytes: int | None = None
    agent: str | None = None
    """Network device (or IP address) whose address the records carry."""

    TABLE: ClassVar[str] = "sFlow"
    COLUMN: ClassVar[str] = "sflow"

    def _columns(self) -> Columns:
        return {
            "sampling": self.sampling,
            "polling": self.polling_s,
            "header": self.header_bytes,
            "agent": self.agent,
        }

    def _ranges(self) -> tuple[tuple[str, int | None, int, int], ...]:
        if self.agent is not None:
            check_name("sFlow agent", self.agent)
        return (
            ("sampling", self.sampling, 1, (1 << 32) - 1),
            ("polling_s", self.polling_s, 0, 1 << 20),
            ("header_bytes", self.header_bytes, 1, 256),
        )


@dataclasses.dataclass(frozen=True, slots=True)
class IpfixWish(_Export):
    """IPFIX (RFC 7011) of a whole bridge."""

    sampling: int | None = None
    """One packet of so many; None for the default (400)."""
    domain_id: int | None = None
    point_id: int | None = None
    active_timeout_s: int | None = None
    max_flows: int | None = None

    TABLE: ClassVar[str] = "IPFIX"
    COLUMN: ClassVar[str] = "ipfix"

    def _columns(self) -> Columns:
        return {
            "sampling": self.sampling,
            "obs_domain_id": self.domain_id,
            "obs_point_id": self.point_id,
            "cache_active_timeout": self.active_timeout_s,
            "cache_max_flows": self.max_flows,
        }

    def _ranges(self) -> tuple[tuple[str, int | None, int, int], ...]:
        most = (1 << 32) - 1
        return (
            ("sampling", self.sampling, 1, most),
            ("domain_id", self.domain_id, 0, most),
            ("point_id", self.point_id, 0, most),
            ("active_timeout_s", self.active_timeout_s, 0, 4200),
            ("max_flows", self.max_flows, 0, most),
        )


def check_collector(target: str) -> None:
    """Refuse what is no `address:port`.

    Raises:
        EnsureError: it is not.
    """
    host, _, port = target.rpartition(":")
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]") if host.startswith("[") else host)
        fits = port.isascii() and port.isdigit() and len(port) <= len(str(MAX_PORT)) and 0 < int(port) <= MAX_PORT
    except ValueError:
        fits = False
    if not fits or len(target) > MAX_TARGET or (":" in host) != host.startswith("["):
        raise EnsureError(f"collector {target[:80]!r} is no address:port, such as 192.0.2.1:2055 or [2001:db8::1]:2055")

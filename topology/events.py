"""What an OVSDB server says, as typed values: rows, and the events that carry them.

`ovsdb` is the only maker of these and has validated every value: names are printable and at most
`MAX_NAME` characters, maps and sets are bounded, numbers are in range. A row that breaks a bound
arrives as `RefusedRow`, so that it is reported and never half believed.
Columns: ovs-vswitchd.conf.db(5).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TypeAlias

MAX_NAME = 255
"""Characters in the name of a bridge, port or interface."""


@dataclasses.dataclass(frozen=True, slots=True)
class RootRow:
    """The single row of table Open_vSwitch."""

    uid: str
    ovs_version: str = ""
    datapath_types: frozenset[str] = frozenset()
    """What this vswitchd can do: `system` is here only if the kernel has the datapath."""
    next_cfg: int = 0
    cur_cfg: int = 0
    """vswitchd has applied every transaction that raised `next_cfg` to at most this."""
    external_ids: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class BridgeRow:
    """A row of table Bridge; `ports` and `controllers` are row UUIDs."""

    uid: str
    name: str
    datapath_type: str = ""
    dpid: int | None = None
    """None until vswitchd made the bridge."""
    fail_mode: str | None = None
    protocols: frozenset[str] = frozenset()
    ports: frozenset[str] = frozenset()
    controllers: frozenset[str] = frozenset()
    other_config: Mapping[str, str] = dataclasses.field(default_factory=dict)
    external_ids: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class PortRow:
    """A row of table Port; `interfaces` are row UUIDs (more than one makes a bond)."""

    uid: str
    name: str
    interfaces: frozenset[str] = frozenset()
    external_ids: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class InterfaceRow:
    """A row of table Interface."""

    uid: str
    name: str
    type: str = ""
    ofport: int | None = None
    """OpenFlow port number; -1 when vswitchd could not open the device, None before it tried."""
    ofport_request: int | None = None
    error: str | None = None
    external_ids: Mapping[str, str] = dataclasses.field(default_factory=dict)
    mac_in_use: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class ControllerRow:
    """A row of table Controller."""

    uid: str
    target: str
    connection_mode: str | None = None
    inactivity_probe: int | None = None
    """Milliseconds; None for the switch's default."""
    max_backoff: int | None = None
    """Milliseconds between attempts to connect, at most; None for the switch's default."""
    is_connected: bool = False
    external_ids: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that broke a bound; it stands for nothing and is reported."""

    uid: str
    table: str
    name: str
    """The row's name as far as it could be read, for the report."""
    problem: str


Row: TypeAlias = RootRow | BridgeRow | PortRow | InterfaceRow | ControllerRow | RefusedRow


@dataclasses.dataclass(frozen=True, slots=True)
class HostResynced:
    """Every row of one host, after each connect: whatever is not here is gone."""

    host: str
    """Name of the host: its OVSDB target."""
    rows: tuple[Row, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class RowsChanged:
    """One transaction of one host: rows made or changed (whole rows), and UUIDs of rows deleted."""

    host: str
    rows: tuple[Row, ...] = ()
    gone: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class HostLost:
    """The connection to a host broke; what it said last still stands, but may be out of date."""

    host: str
    reason: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class HostForgotten:
    """A person said that a host is no more: nothing of it stands."""

    host: str


Event: TypeAlias = HostResynced | RowsChanged | HostLost | HostForgotten

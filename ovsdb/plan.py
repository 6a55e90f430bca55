"""From what a database holds and what we wish, the operations that lead from one to the other. Pure.

Every plan starts with guards on what it read, so that it does nothing if somebody else was faster;
the caller then reads again. Only rows that carry our owner id are changed; a bridge that we adopt
gets the mark in the same transaction.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from ovsdb.errors import EnsureError
from ovsdb.operations import guard, insert, is_row, map_changes, map_of, mutate, named, set_of, update, uuid
from ovsdb.session import Operation
from ovsdb.wishes import AUTO, BridgeWish, PortWish, controller_is_right
from topology.events import BridgeRow, ControllerRow, InterfaceRow, PortRow, RootRow
from topology.site import OWNER_KEY

Raw: TypeAlias = Mapping[str, object]

BRIDGE_GUARDED = ("external_ids", "controller", "fail_mode", "other_config", "protocols", "datapath_type")
"""Columns of a bridge that a plan depends on; `ports` is not among them, since others may come and go."""


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """What one transaction of selects read."""

    root: RootRow
    bridge: BridgeRow | None = None
    bridge_raw: Raw = dataclasses.field(default_factory=dict)
    """The bridge's columns as the server wrote them, for the guard."""
    controllers: Mapping[str, ControllerRow] = dataclasses.field(default_factory=dict)
    """By UUID."""
    port: PortRow | None = None
    interface: InterfaceRow | None = None


def plan_bridge(found: Found, wish: BridgeWish) -> list[Operation]:
    """Return the operations that make the bridge right; none if it is.

    Raises:
        EnsureError: a bridge of that name is not ours and may not be adopted.
    """
    datapath_type = choose_datapath(found.root, wish, found.bridge)
    if found.bridge is None:
        return _make_bridge(found.root, wish, datapath_type)
    if found.bridge.external_ids.get(OWNER_KEY) != wish.owner and not wish.adopt:
        raise EnsureError(_not_ours(wish, found.bridge))
    changes = _repair(found.bridge, wish, datapath_type) + _controller_changes(found, wish)
    if not changes:
        return []
    read = {name: found.bridge_raw[name] for name in BRIDGE_GUARDED}
    return [guard("Bridge", [is_row(found.bridge.uid)], [read], BRIDGE_GUARDED), *changes]


def choose_datapath(root: RootRow, wish: BridgeWish, bridge: BridgeRow | None = None) -> str:
    """Return the datapath type: the one asked for, else the bridge's own, else the kernel's if this vswitchd has it.

    A vswitchd lists the kernel's also where the kernel lacks the module; see `ensure_bridge`.

    Raises:
        EnsureError: the vswitchd does not have it, or has not said what it has.
    """
    has = root.datapath_types
    if wish.datapath_type == AUTO and bridge is not None and bridge.datapath_type in has:
        return bridge.datapath_type
    if wish.datapath_type == AUTO and has:
        return "system" if "system" in has else "netdev"
    if wish.datapath_type == AUTO:
        raise EnsureError(
            f"bridge {wish.name}: ovs-vswitchd has not said which datapaths it has; "
            "start it, or set the datapath type to system or netdev"
        )
    if has and wish.datapath_type not in has:
        raise EnsureError(f"bridge {wish.name}: no datapath {wish.datapath_type}; there is {', '.join(sorted(has))}")
    return wish.datapath_type


def plan_port(found: Found, wish: PortWish) -> list[Operation]:
    """Return the operations that make the port right; none if it is.

    Raises:
        EnsureError: the bridge is not ours, or a port of that name is not.
    """
    bridge = our_bridge(found, wish.bridge, wish.owner)
    if found.port is None and found.interface is None:
        return _make_port(bridge, wish)
    port, interface = our_port(found, wish.bridge, wish.owner, wish.name)
    changes = _interface_changes(interface, wish)
    return [_still_ours("Port", port.uid, wish.owner, port.name), *changes] if changes else []


def plan_removal(found: Found, bridge: str, owner: str, name: str) -> list[Operation]:
    """Return the operations that remove a port; none if there is none.

    Raises:
        EnsureError: it is not ours.
    """
    if found.port is None:
        return []
    port, _ = our_port(found, bridge, owner, name)
    removal = mutate("Bridge", our_bridge(found, bridge, owner).uid, ("ports", "delete", set_of([uuid(port.uid)])))
    return [_still_ours("Port", port.uid, owner, name), removal]


def plan_external_ids(found: Found, owner: str, name: str, wanted: Mapping[str, str | None]) -> list[Operation]:
    """Return the operations that set (or with None, remove) external_ids of one of our interfaces.

    Raises:
        EnsureError: there is no such interface, it is not ours, or the owner's mark would change.
    """
    if found.interface is None or found.interface.external_ids.get(OWNER_KEY) != owner:
        raise EnsureError(f"interface {name}: we made none of that name, so its external_ids stay as they are")
    _check_ids(name, wanted)
    changes = map_changes("external_ids", found.interface.external_ids, wanted)
    if not changes:
        return []
    return [
        _still_ours("Interface", found.interface.uid, owner, name),
        mutate("Interface", found.interface.uid, *changes),
    ]


def our_bridge(found: Found, name: str, owner: str) -> BridgeRow:
    """Return the bridge if it is ours.

    Raises:
        EnsureError: it is not there or not ours.
    """
    if found.bridge is None or found.bridge.external_ids.get(OWNER_KEY) != owner:
        raise EnsureError(f"bridge {name} is not there or not ours; ensure the bridge first")
    return found.bridge


def our_port(found: Found, bridge: str, owner: str, name: str) -> tuple[PortRow, InterfaceRow]:
    """Return the port and its interface if we made them on this bridge.

    Raises:
        EnsureError: we did not, or they are elsewhere.
    """
    port, interface = found.port, found.interface
    on_bridge = port is not None and port.uid in our_bridge(found, bridge, owner).ports
    if port is None or interface is None or not on_bridge or interface.uid not in port.interfaces:
        raise EnsureError(f"port {name} exists, but not on bridge {bridge} as one of ours; use another name")
    if port.external_ids.get(OWNER_KEY) != owner:
        raise EnsureError(f"port {name} on bridge {bridge} was made by somebody else; remove it first")
    return port, interface


def bump(root: RootRow) -> list[Operation]:
    """Ask vswitchd to confirm: it copies next_cfg to cur_cfg once it has applied what came before."""
    select_it = {"op": "select", "table": "Open_vSwitch", "where": [is_row(root.uid)], "columns": ["next_cfg"]}
    return [mutate("Open_vSwitch", root.uid, ("next_cfg", "+=", 1)), select_it]


def _make_bridge(root: RootRow, wish: BridgeWish, datapath_type: str) -> list[Operation]:
    """Make it in one transaction with fail_mode=secure: it never forwards by itself."""
    mark = map_of({OWNER_KEY: wish.owner})
    controllers = [_make_controller(f"c{n}", target, wish) for n, target in enumerate(_targets(wish))]
    bridge = {
        "name": wish.name,
        "datapath_type": datapath_type,
        "fail_mode": "secure",
        "protocols": set_of(wish.protocols),
        "other_config": map_of(wish.other_config),
        "external_ids": mark,
        "ports": named("port"),
        "controller": set_of(named(f"c{n}") for n in range(len(controllers))),
    }
    return [
        guard("Bridge", [["name", "==", wish.name]], [], ["name"]),
        *controllers,
        insert("Interface", "interface", {"name": wish.name, "type": "internal", "external_ids": mark}),
        insert("Port", "port", {"name": wish.name, "interfaces": named("interface"), "external_ids": mark}),
        insert("Bridge", "bridge", bridge),
        mutate("Open_vSwitch", root.uid, ("bridges", "insert", set_of([named("bridge")]))),
    ]


def _make_controller(name: str, target: str, wish: BridgeWish) -> Operation:
    return insert("Controller", name, {"target": target, **_controller_columns(wish)})


def _controller_columns(wish: BridgeWish) -> dict[str, object]:
    return {
        "connection_mode": "out-of-band",
        "inactivity_probe": wish.inactivity_probe_ms,
        "max_backoff": wish.max_backoff_ms,
        "external_ids": map_of({OWNER_KEY: wish.owner}),
    }


def _targets(wish: BridgeWish) -> list[str]:
    return sorted(set(wish.controllers))


def _repair(bridge: BridgeRow, wish: BridgeWish, datapath_type: str) -> list[Operation]:
    columns: dict[str, object] = {}
    if bridge.fail_mode != "secure":
        columns["fail_mode"] = "secure"
    if bridge.protocols != frozenset(wish.protocols):
        columns["protocols"] = set_of(wish.protocols)
    if (bridge.datapath_type or "system") != datapath_type:
        columns["datapath_type"] = datapath_type
    maps = [
        *map_changes("other_config", bridge.other_config, wish.other_config),
        *map_changes("external_ids", bridge.external_ids, {OWNER_KEY: wish.owner}),
    ]
    operations = [update("Bridge", bridge.uid, columns)] if columns else []
    return operations + ([mutate("Bridge", bridge.uid, *maps)] if maps else [])


def _controller_changes(found: Found, wish: BridgeWish) -> list[Operation]:
    """Keep one row of ours a target; a row of somebody else is unlinked, never changed."""
    bridge, kept = found.bridge, _kept_controllers(found, wish)
    if bridge is None:
        return []
    missing = [target for target in _targets(wish) if target not in kept]
    surplus = sorted(bridge.controllers - {row.uid for row in kept.values()})
    fixes = [
        update("Controller", row.uid, _controller_columns(wish))
        for row in kept.values()
        if not controller_is_right(row, wish)
    ]
    links: list[Sequence[object]] = []
    if surplus:
        links.append(("controller", "delete", set_of(map(uuid, surplus))))
    if missing:
        links.append(("controller", "insert", set_of(named(f"c{n}") for n in range(len(missing)))))
    inserts = [_make_controller(f"c{n}", target, wish) for n, target in enumerate(missing)]
    return [*fixes, *inserts, *([mutate("Bridge", bridge.uid, *links)] if links else [])]


def _kept_controllers(found: Found, wish: BridgeWish) -> dict[str, ControllerRow]:
    """Return by target the rows of ours that the bridge may keep."""
    linked = found.bridge.controllers if found.bridge else frozenset()
    ours = (found.controllers[uid] for uid in sorted(linked, reverse=True) if uid in found.controllers)
    return {
        row.target: row
        for row in ours
        if row.external_ids.get(OWNER_KEY) == wish.owner and row.target in wish.controllers
    }


def _make_port(bridge: BridgeRow, wish: PortWish) -> list[Operation]:
    _check_ids(wish.name, wish.external_ids)
    mark = {OWNER_KEY: wish.owner}
    interface: dict[str, object] = {
        "name": wish.name,
        "type": wish.type,
        "external_ids": map_of({**wish.external_ids, **mark}),
    }
    if wish.ofport_request is not None:
        interface["ofport_request"] = wish.ofport_request
    return [
        _still_ours("Bridge", bridge.uid, wish.owner, bridge.name),
        *(guard(table, [["name", "==", wish.name]], [], ["name"]) for table in ("Port", "Interface")),
        insert("Interface", "interface", interface),
        insert("Port", "port", {"name": wish.name, "interfaces": named("interface"), "external_ids": map_of(mark)}),
        mutate("Bridge", bridge.uid, ("ports", "insert", set_of([named("port")]))),
    ]


def _interface_changes(interface: InterfaceRow, wish: PortWish) -> list[Operation]:
    _check_ids(wish.name, wish.external_ids)
    columns: dict[str, object] = {}
    if interface.type != wish.type:
        columns["type"] = wish.type
    if wish.ofport_request is not None and interface.ofport_request != wish.ofport_request:
        columns["ofport_request"] = wish.ofport_request
    ids = map_changes("external_ids", interface.external_ids, {**wish.external_ids, OWNER_KEY: wish.owner})
    operations = [update("Interface", interface.uid, columns)] if columns else []
    return operations + ([mutate("Interface", interface.uid, *ids)] if ids else [])


def _still_ours(table: str, uid: str, owner: str, name: str) -> Operation:
    marked = ["external_ids", "includes", map_of({OWNER_KEY: owner})]
    return guard(table, [is_row(uid), marked], [{"name": name}], ["name"])


def _check_ids(name: str, wanted: Mapping[str, str | None]) -> None:
    if OWNER_KEY in wanted:
        raise EnsureError(f"interface {name}: external_ids:{OWNER_KEY} is the mark of its owner and cannot be set")


def _not_ours(wish: BridgeWish, bridge: BridgeRow) -> str:
    owner = bridge.external_ids.get(OWNER_KEY)
    maker = f"belongs to owner {owner[:80]!r}" if owner else "was not made by Ringfence"
    return f"bridge {wish.name} exists and {maker}; choose another name, or set `adopt: true` to take it over"

"""From what a database holds of the integration bridge and what we wish, the operations between the two. Pure.

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
from ovsdb.wishes import AUTO, BridgeWish, controller_is_right
from topology.events import BridgeRow, ControllerRow, RootRow
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


def _not_ours(wish: BridgeWish, bridge: BridgeRow) -> str:
    owner = bridge.external_ids.get(OWNER_KEY)
    maker = f"belongs to owner {owner[:80]!r}" if owner else "was not made by Ringfence"
    return f"bridge {wish.name} exists and {maker}; choose another name, or set `adopt: true` to take it over"

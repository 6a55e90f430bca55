"""Bring a bridge, a port or a tunnel to what is wished, by idempotent, guarded transactions.

Each function reads, plans and writes; when a guard says that somebody else was faster it reads
again (`ovsdb.converge`). With `wait_s` it returns only when vswitchd has applied it. With
`dry_run` it writes nothing, and its answer says what it would have changed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypeVar

from ovsdb.columns import DEFAULTS, TABLES, Columns, decode
from ovsdb.converge import GUARD_FAILED, Applied, Mode, converge, poll
from ovsdb.errors import EnsureError, TransactionError
from ovsdb.operations import guard, insert, mutate, select, set_of, uuid
from ovsdb.plan import Found, choose_datapath, plan_bridge
from ovsdb.port_plans import our_bridge, plan_external_ids, plan_port, plan_removal, port_queries, still_ours
from ovsdb.port_wishes import PortWish, TunnelWish, check_name, check_port
from ovsdb.rows import typed_row
from ovsdb.scene import EMPTY, Raw, Scene, by_name, read_scene, rows_of, uid_of
from ovsdb.session import Operation, Transactor
from ovsdb.wishes import AUTO, BridgeWish
from topology.events import BridgeRow, ControllerRow, RefusedRow, RootRow, Row

KERNEL, USERSPACE = "system", "netdev"
R = TypeVar("R")


# -- bridges ---------------------------------------------------------------------------------------


def ensure_bridge(db: Transactor, wish: BridgeWish, *, wait_s: float | None = None, dry_run: bool = False) -> Applied:
    """Make the integration bridge, or make it right; see `BridgeWish`.

    With `datapath_type=auto` on a database that vswitchd has not read yet, `wait_s` is also the time
    it is given to say what it has.

    Raises:
        EnsureError: the bridge is not ours, cannot be made so, or was not applied in time.
        TransactionError, ConnectionLost, ProtocolError: of the database.
    """
    check_name("bridge", wish.name)
    if dry_run:
        return _make_right(db, wish, Mode(dry_run=True))
    _make_root(db)
    _await_capabilities(db, wish, wait_s)
    applied = _make_right(db, wish, Mode(wait_s))
    if wait_s is not None and not _is_up(db, wish):
        applied = _fall_back(db, wish, wait_s)
    return applied


def remove_bridge(
    db: Transactor, owner: str, name: str, *, wait_s: float | None = None, dry_run: bool = False
) -> Applied:
    """Remove a bridge that we made, with all its ports, if it is there.

    Raises:
        EnsureError: it is not ours, or was not applied in time.
        TransactionError, ConnectionLost, ProtocolError: of the database.
    """

    def plan(scene: Scene) -> list[Operation]:
        if scene.named("Bridge", name) is None:
            return []
        bridge = our_bridge(scene, name, owner)
        removal = mutate("Open_vSwitch", scene.root.uid, ("bridges", "delete", set_of([uuid(bridge.uid)])))
        return [still_ours("Bridge", bridge, owner), removal]

    return converge(db, lambda: read_scene(db, by_name("Bridge", name)), plan, Mode(wait_s, dry_run))


def _make_right(db: Transactor, wish: BridgeWish, mode: Mode) -> Applied:
    return converge(db, lambda: _find(db, wish.name), lambda found: plan_bridge(found, wish), mode)


def _is_up(db: Transactor, wish: BridgeWish) -> bool:
    """Whether vswitchd made the bridge: only then it writes its datapath id."""
    return isinstance(_find(db, wish.name).bridge_raw.get("datapath_id"), str)


def _fall_back(db: Transactor, wish: BridgeWish, wait_s: float) -> Applied:
    """Take the userspace datapath where vswitchd offers the kernel's and the kernel has no module for it."""
    bridge = _find(db, wish.name).bridge
    if wish.datapath_type == AUTO and bridge is not None and bridge.datapath_type == KERNEL:
        _make_right(db, dataclasses.replace(wish, datapath_type=USERSPACE), Mode(wait_s))
        if _is_up(db, wish):
            return Applied(changed=True)
    raise EnsureError(
        f"bridge {wish.name} is stored, but ovs-vswitchd could not make it: its log says why; "
        "without the kernel module openvswitch set bridge.datapath_type to netdev"
    )


def _make_root(db: Transactor) -> None:
    """Make the one row that an empty database lacks, as ovs-vsctl does; somebody else may be faster."""
    if rows_of(db.transact([select("Open_vSwitch", [], ["_uuid"])])[0]):
        return
    operations = [guard("Open_vSwitch", [], [], ["next_cfg"]), insert("Open_vSwitch", "root", {})]
    try:
        db.transact(operations)
    except TransactionError as error:
        if error.error != GUARD_FAILED:
            raise


def _await_capabilities(db: Transactor, wish: BridgeWish, wait_s: float | None) -> None:
    """Give a vswitchd that has just started time to say which datapaths it has."""
    if wish.datapath_type == AUTO and wait_s is not None:
        poll(lambda: bool(_find(db, "").root.datapath_types), wait_s)
    choose_datapath(_find(db, "").root, wish)


def _find(db: Transactor, bridge: str) -> Found:
    """Read everything a plan for a bridge may depend on in one transaction."""
    tables: list[tuple[str, list[object]]] = [
        ("Open_vSwitch", []),
        ("Bridge", [["name", "==", bridge]]),
        ("Controller", []),
    ]
    results = db.transact([select(table, where, ["_uuid", *TABLES[table]]) for table, where in tables])
    raws = [rows_of(result) for result in results]
    root, bridges, controllers = (
        [_row(table, raw) for raw in rows] for (table, _), rows in zip(tables, raws, strict=True)
    )
    found = _first(root, RootRow)
    if found is None:
        raise EnsureError(EMPTY)
    return Found(
        root=found,
        bridge=_first(bridges, BridgeRow),
        bridge_raw=next(iter(raws[1]), {}),
        controllers={row.uid: row for row in controllers if isinstance(row, ControllerRow)},
    )


def _row(table: str, raw: Raw) -> Row:
    columns: Columns = {
        name: decode(kind, raw[name]) if name in raw else DEFAULTS[kind] for name, kind in TABLES[table].items()
    }
    return typed_row(table, uid_of(table, raw), columns)


def _first(rows: Sequence[Row], kind: type[R]) -> R | None:
    for row in rows:
        if isinstance(row, RefusedRow):
            raise EnsureError(f"{row.table} {row.name}: {row.problem}; mend the row first")
        if isinstance(row, kind):
            return row
    return None


# -- ports -----------------------------------------------------------------------------------------


def ensure_port(db: Transactor, wish: PortWish, *, wait_s: float | None = None, dry_run: bool = False) -> Applied:
    """Add a port to our bridge, or make it right; see `PortWish`.

    Raises:
        EnsureError: the bridge or port is not ours, or vswitchd could not open the device (it stays
            configured, and vswitchd takes it up when the device appears).
        TransactionError, ConnectionLost, ProtocolError: of the database.
    """
    check_port(wish)
    queries, mode = port_queries(wish.bridge, wish.name), Mode(wait_s, dry_run)
    applied = converge(db, lambda: read_scene(db, queries), lambda scene: plan_port(scene, wish), mode)
    return applied if wait_s is None or dry_run else dataclasses.replace(applied, ofport=_ofport(db, wish))


def ensure_tunnel(db: Transactor, wish: TunnelWish, *, wait_s: float | None = None, dry_run: bool = False) -> Applied:
    """Add a tunnel port to our bridge, or make it right; see `TunnelWish`. `remove_port` removes it.

    Raises:
        EnsureError: the wish is wrong, or as `ensure_port`.
        TransactionError, ConnectionLost, ProtocolError: of the database.
    """
    return ensure_port(db, wish.port, wait_s=wait_s, dry_run=dry_run)


def remove_port(  # noqa: PLR0913 - two of them say how, the others which
    db: Transactor, owner: str, bridge: str, name: str, *, wait_s: float | None = None, dry_run: bool = False
) -> Applied:
    """Remove a port that we made, if it is there.

    Raises:
        EnsureError: it is not ours, or was not applied in time.
        TransactionError, ConnectionLost, ProtocolError: of the database.
    """
    queries, mode = port_queries(bridge, name), Mode(wait_s, dry_run)
    return converge(db, lambda: read_scene(db, queries), lambda scene: plan_removal(scene, bridge, owner, name), mode)


def set_external_ids(
    db: Transactor, owner: str, name: str, ids: Mapping[str, str | None], *, wait_s: float | None = None
) -> Applied:
    """Set keys of external_ids of an interface that we made; None removes a key.

    Raises:
        EnsureError: the interface is not ours, or it was not applied in time.
        TransactionError, ConnectionLost, ProtocolError: of the database.
    """
    queries = by_name("Interface", name)
    plan = lambda scene: plan_external_ids(scene, owner, name, ids)  # noqa: E731 it is given to `converge`
    return converge(db, lambda: read_scene(db, queries), plan, Mode(wait_s))


def _ofport(db: Transactor, wish: PortWish) -> int:
    interface = read_scene(db, by_name("Interface", wish.name)).named("Interface", wish.name)
    if interface is None:
        raise EnsureError(f"port {wish.name} was removed while we waited; find out who did")
    ofport = interface.columns["ofport"]
    if ofport is None or ofport < 1:
        problem = interface.columns["error"] or "vswitchd gave it no OpenFlow number"
        raise EnsureError(f"port {wish.name} is stored but not in use: {problem}; make the device, then ask again")
    return int(ofport)

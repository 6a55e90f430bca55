"""Bring a bridge or a port to what is wished, by idempotent, guarded transactions.

Each function reads, plans (`ovsdb.plan`) and writes; when a guard says that somebody else was
faster it reads again. With `wait_s` it returns only when vswitchd has applied it.
"""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from ovsdb.columns import DEFAULTS, TABLES, UUID, Columns, decode
from ovsdb.errors import EnsureError, ProtocolError, TransactionError
from ovsdb.operations import guard, insert, select
from ovsdb.plan import (
    Found,
    Raw,
    bump,
    choose_datapath,
    plan_bridge,
    plan_external_ids,
    plan_port,
    plan_removal,
)
from ovsdb.rows import typed_row
from ovsdb.session import Operation, Result, Transactor
from ovsdb.wishes import AUTO, BridgeWish, PortWish
from topology.events import BridgeRow, ControllerRow, InterfaceRow, PortRow, RefusedRow, RootRow, Row

ATTEMPTS = 10
"""How often a plan is made anew because somebody else was faster."""
_POLL_FIRST_S, _POLL_CAP_S = 0.002, 0.05
_NAME = re.compile(r"[!-.0-~]{1,255}")
KERNEL, USERSPACE = "system", "netdev"
_GUARD_FAILED = "timed out"
R = TypeVar("R")


@dataclasses.dataclass(frozen=True, slots=True)
class Applied:
    """What came of it."""

    changed: bool
    """Something was written."""
    ofport: int | None = None
    """The port's OpenFlow number, if the wish was a port and we waited."""


def ensure_bridge(db: Transactor, wish: BridgeWish, *, wait_s: float | None = None) -> Applied:
    """Make the integration bridge, or make it right; see `BridgeWish`.

    With `datapath_type=auto` on a database that vswitchd has not read yet, `wait_s` is also the time
    it is given to say what it has.

    Raises:
        EnsureError: the bridge is not ours, cannot be made so, or was not applied in time.
        TransactionError, ConnectionLost, ProtocolError: of the database.
    """
    _check_name("bridge", wish.name)
    _make_root(db)
    _await_capabilities(db, wish, wait_s)
    changed = _make_right(db, wish, wait_s)
    if wait_s is not None and not _is_up(db, wish):
        changed = _fall_back(db, wish, wait_s)
    return Applied(changed)


def _make_right(db: Transactor, wish: BridgeWish, wait_s: float | None) -> bool:
    return _converge(db, lambda: _find(db, bridge=wish.name), lambda found: plan_bridge(found, wish), wait_s)


def _is_up(db: Transactor, wish: BridgeWish) -> bool:
    """Whether vswitchd made the bridge: only then it writes its datapath id."""
    return isinstance(_find(db, bridge=wish.name).bridge_raw.get("datapath_id"), str)


def _fall_back(db: Transactor, wish: BridgeWish, wait_s: float) -> bool:
    """Take the userspace datapath where vswitchd offers the kernel's and the kernel has no module for it."""
    bridge = _find(db, bridge=wish.name).bridge
    if wish.datapath_type == AUTO and bridge is not None and bridge.datapath_type == KERNEL:
        _make_right(db, dataclasses.replace(wish, datapath_type=USERSPACE), wait_s)
        if _is_up(db, wish):
            return True
    raise EnsureError(
        f"bridge {wish.name} is stored, but ovs-vswitchd could not make it: its log says why; "
        "without the kernel module openvswitch set bridge.datapath_type to netdev"
    )


def ensure_port(db: Transactor, wish: PortWish, *, wait_s: float | None = None) -> Applied:
    """Add a port to our bridge, or make it right; see `PortWish`.

    Raises:
        EnsureError: the bridge or port is not ours, or vswitchd could not open the device (it stays
            configured, and vswitchd takes it up when the device appears).
        TransactionError, ConnectionLost, ProtocolError: of the database.
    """
    _check_name("port", wish.name)
    changed = _converge(db, lambda: _find(db, wish.bridge, wish.name), lambda found: plan_port(found, wish), wait_s)
    return Applied(changed, None if wait_s is None else _ofport(db, wish))


def remove_port(db: Transactor, owner: str, bridge: str, name: str, *, wait_s: float | None = None) -> Applied:
    """Remove a port that we made, if it is there.

    Raises:
        EnsureError: it is not ours, or was not applied in time.
        TransactionError, ConnectionLost, ProtocolError: of the database.
    """
    found = lambda: _find(db, bridge, name)  # noqa: E731 it is given to `_converge`, as everywhere here
    return Applied(_converge(db, found, lambda f: plan_removal(f, bridge, owner, name), wait_s))


def set_external_ids(
    db: Transactor, owner: str, name: str, ids: Mapping[str, str | None], *, wait_s: float | None = None
) -> Applied:
    """Set keys of external_ids of an interface that we made; None removes a key.

    Raises:
        EnsureError: the interface is not ours, or it was not applied in time.
        TransactionError, ConnectionLost, ProtocolError: of the database.
    """
    plan = lambda found: plan_external_ids(found, owner, name, ids)  # noqa: E731 as above
    return Applied(_converge(db, lambda: _find(db, port=name), plan, wait_s))


def _converge(
    db: Transactor, find: Callable[[], Found], plan: Callable[[Found], list[Operation]], wait_s: float | None
) -> bool:
    """Read, plan, write until nothing is left to do or one write went through; True if one did."""
    for _ in range(ATTEMPTS):
        found = find()
        operations = plan(found)
        if not operations:
            _await_applied(db, found.root.next_cfg, wait_s)
            return False
        try:
            results = db.transact([*operations, *bump(found.root)])
        except TransactionError as error:
            if error.error != _GUARD_FAILED:
                raise
            continue
        _await_applied(db, _integer(_rows(results[-1]), "next_cfg"), wait_s)
        return True
    raise EnsureError(f"somebody else changed the database {ATTEMPTS} times while we tried; find out who")


def _find(db: Transactor, bridge: str = "", port: str = "") -> Found:
    """Read everything a plan may depend on in one transaction."""
    by_name = {"Bridge": bridge, "Port": port, "Interface": port}
    wheres: dict[str, Sequence[object]] = {table: [["name", "==", name]] for table, name in by_name.items()}
    tables = [("Open_vSwitch", []), *wheres.items(), ("Controller", [])]
    results = db.transact([select(table, where, ["_uuid", *TABLES[table]]) for table, where in tables])
    root, bridges, ports, interfaces, controllers = (
        _typed(table, _rows(result)) for (table, _), result in zip(tables, results, strict=True)
    )
    return Found(
        root=_root(root),
        bridge=_first(bridges, BridgeRow),
        bridge_raw=next(iter(_rows(results[1])), {}),
        controllers={row.uid: row for row in controllers if isinstance(row, ControllerRow)},
        port=_first(ports, PortRow),
        interface=_first(interfaces, InterfaceRow),
    )


def _root(rows: Sequence[Row]) -> RootRow:
    root = _first(rows, RootRow)
    if root is None:
        raise EnsureError("the OVSDB database is empty; ensure the bridge first")
    return root


def _make_root(db: Transactor) -> None:
    """Make the one row that an empty database lacks, as ovs-vsctl does; somebody else may be faster."""
    if _rows(db.transact([select("Open_vSwitch", [], ["_uuid"])])[0]):
        return
    operations = [guard("Open_vSwitch", [], [], ["next_cfg"]), insert("Open_vSwitch", "root", {})]
    try:
        db.transact(operations)
    except TransactionError as error:
        if error.error != _GUARD_FAILED:
            raise


def _await_capabilities(db: Transactor, wish: BridgeWish, wait_s: float | None) -> None:
    """Give a vswitchd that has just started time to say which datapaths it has."""
    if wish.datapath_type == AUTO and wait_s is not None:
        _poll(lambda: bool(_find(db).root.datapath_types), wait_s)
    choose_datapath(_find(db).root, wish)


def _await_applied(db: Transactor, number: int, wait_s: float | None) -> None:
    if wait_s is not None and not _poll(lambda: _find(db).root.cur_cfg >= number, wait_s):
        raise EnsureError(f"ovs-vswitchd did not apply the change within {wait_s:g} s, though it is stored; is it up?")


def _ofport(db: Transactor, wish: PortWish) -> int:
    interface = _find(db, wish.bridge, wish.name).interface
    if interface is None:
        raise EnsureError(f"port {wish.name} was removed while we waited; find out who did")
    if interface.ofport is None or interface.ofport < 1:
        problem = interface.error or "vswitchd gave it no OpenFlow number"
        raise EnsureError(f"port {wish.name} is stored but not in use: {problem}; make the device, then ask again")
    return interface.ofport


def _poll(done: Callable[[], bool], wait_s: float) -> bool:
    deadline = time.monotonic() + wait_s
    pause_s = _POLL_FIRST_S
    while not done():
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _POLL_CAP_S)
    return True


def _check_name(what: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise EnsureError(f"{what} name {name[:80]!r}: 1 to 255 printable characters, no space and no slash")


def _rows(result: Result) -> list[Raw]:
    match result.get("rows"):
        case list(rows) if all(isinstance(row, dict) for row in rows):
            return rows
    raise ProtocolError("a select must answer with a list of rows")


def _typed(table: str, raws: Sequence[Raw]) -> list[Row]:
    return [_row(table, raw) for raw in raws]


def _row(table: str, raw: Raw) -> Row:
    columns: Columns = {
        name: decode(kind, raw[name]) if name in raw else DEFAULTS[kind] for name, kind in TABLES[table].items()
    }
    match raw.get("_uuid"):
        case ["uuid", str(uid)] if UUID.fullmatch(uid):
            return typed_row(table, uid, columns)
    raise ProtocolError(f"a row of {table} without a UUID")


def _first(rows: Sequence[Row], kind: type[R]) -> R | None:
    for row in rows:
        if isinstance(row, RefusedRow):
            raise EnsureError(f"{row.table} {row.name}: {row.problem}; mend the row first")
        if isinstance(row, kind):
            return row
    return None


def _integer(rows: Sequence[Raw], column: str) -> int:
    value = rows[0].get(column) if rows else None
    if type(value) is not int:
        raise ProtocolError(f"{column} must be an integer")
    return value

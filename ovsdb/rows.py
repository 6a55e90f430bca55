"""From decoded columns to the typed, bounded rows of `topology.events`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ovsdb.columns import Columns, Value
from topology.events import (
    MAX_NAME,
    BridgeRow,
    ControllerRow,
    InterfaceRow,
    PortRow,
    RefusedRow,
    RootRow,
    Row,
)

MAX_PAIRS = 512
"""Pairs in one map."""
MAX_KEY = 512
"""A label key of 317 characters with its prefix fits."""
MAX_TEXT = 4096
"""Characters of any other string."""
MAX_OFPORT = 65535

_DPID = re.compile(r"[0-9a-f]{16}")

Typed: TypeAlias = dict[str, Any]
"""Columns whose kinds `columns.TABLES` fixed; what is read from it has the type of that kind."""


class _Bound(Exception):
    """A value is of the right kind but too large or not fit to be shown."""


def typed_row(table: str, uid: str, columns: Columns, news: Columns | None = None) -> Row:
    """Return the row, or a `RefusedRow` that says which bound it breaks.

    Args:
        table: that of the row.
        uid: its UUID.
        columns: all of it.
        news: those of `columns` that may break a bound; None for all.
    """
    try:
        for column, value in (columns if news is None else news).items():
            _check(column, value)
        return _MAKERS[table](uid, dict(columns))
    except _Bound as error:
        name = str(columns.get("name") or columns.get("target") or "")
        shown = "".join(c if c.isprintable() else "?" for c in name[:MAX_NAME])
        return RefusedRow(uid, table, shown, str(error))


def bound_problem(columns: Columns) -> str:
    """Return which bound the values of a row break; empty if none."""
    try:
        for column, value in columns.items():
            _check(column, value)
    except _Bound as error:
        return str(error)
    return ""


def _check(column: str, value: Value) -> None:
    if isinstance(value, dict):
        _check_map(column, value)
    elif isinstance(value, str):
        _check_text(column, value)
    elif isinstance(value, frozenset) and any(isinstance(e, str) and len(e) > MAX_TEXT for e in value):
        raise _Bound(f"{column} has an element of over {MAX_TEXT} characters")


def _check_text(column: str, text: str) -> None:
    if len(text) > MAX_TEXT:
        raise _Bound(f"{column} has over {MAX_TEXT} characters")
    if column == "name" and not (text.isprintable() and 0 < len(text) <= MAX_NAME):
        raise _Bound(f"the name must have 1 to {MAX_NAME} printable characters")


def _check_map(column: str, pairs: Mapping[Any, str]) -> None:
    if len(pairs) > MAX_PAIRS:
        raise _Bound(f"{column} has over {MAX_PAIRS} keys")
    if any(len(str(key)) > MAX_KEY or len(value) > MAX_TEXT for key, value in pairs.items()):
        raise _Bound(f"{column} has a key of over {MAX_KEY} or a value of over {MAX_TEXT} characters")


def _root(uid: str, columns: Typed) -> RootRow:
    return RootRow(
        uid=uid,
        ovs_version=columns["ovs_version"] or "",
        datapath_types=columns["datapath_types"],
        next_cfg=columns["next_cfg"],
        cur_cfg=columns["cur_cfg"],
        external_ids=columns["external_ids"],
    )


def _bridge(uid: str, columns: Typed) -> BridgeRow:
    dpid = columns["datapath_id"]
    return BridgeRow(
        uid=uid,
        name=columns["name"],
        datapath_type=columns["datapath_type"],
        dpid=int(dpid, 16) if dpid and _DPID.fullmatch(dpid) else None,
        fail_mode=columns["fail_mode"],
        protocols=columns["protocols"],
        ports=columns["ports"],
        controllers=columns["controller"],
        other_config=columns["other_config"],
        external_ids=columns["external_ids"],
    )


def _port(uid: str, columns: Typed) -> PortRow:
    return PortRow(uid, columns["name"], columns["interfaces"], columns["external_ids"])


def _interface(uid: str, columns: Typed) -> InterfaceRow:
    ofport = columns["ofport"]
    if ofport is not None and not -1 <= ofport <= MAX_OFPORT:
        raise _Bound(f"ofport {ofport} is no port number")
    return InterfaceRow(
        uid=uid,
        name=columns["name"],
        type=columns["type"],
        ofport=ofport,
        ofport_request=columns["ofport_request"],
        error=columns["error"],
        external_ids=columns["external_ids"],
        mac_in_use=columns["mac_in_use"],
    )


def _controller(uid: str, columns: Typed) -> ControllerRow:
    return ControllerRow(
        uid=uid,
        target=columns["target"],
        connection_mode=columns["connection_mode"],
        inactivity_probe=columns["inactivity_probe"],
        max_backoff=columns["max_backoff"],
        is_connected=columns["is_connected"],
        external_ids=columns["external_ids"],
    )


_MAKERS: Mapping[str, Callable[[str, Typed], Row]] = {
    "Open_vSwitch": _root,
    "Bridge": _bridge,
    "Port": _port,
    "Interface": _interface,
    "Controller": _controller,
}

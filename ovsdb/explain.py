"""What a transaction changes, in words: from its operations, and what the rows they touch hold now."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from ovsdb.config_columns import CONFIG
from ovsdb.operations import is_row, select
from ovsdb.scene import Raw, rows_of
from ovsdb.session import Operation, Transactor

_COUNTER = "next_cfg"
_MUTATORS = {"insert": "add", "delete": "remove"}
_REFERS = {
    "ports": "Port",
    "controller": "Controller",
    "mirrors": "Mirror",
    "manager_options": "Manager",
    "bridges": "Bridge",
    "select_src_port": "Port",
    "select_dst_port": "Port",
    "output_port": "Port",
}
"""Columns that hold UUIDs of rows with a name."""
MAX_SHOWN = 1000
"""Characters of a value that are shown."""


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """One thing that a transaction does."""

    action: str
    """`create` a row, `set` a column, `add` to or `remove` from one that holds several values, `delete` a row."""
    table: str
    row: str
    """Its name; its UUID where it has none."""
    column: str = ""
    """Empty for a row as a whole."""
    before: str = ""
    """What it holds now, where that is known."""
    after: str = ""

    def __str__(self) -> str:
        what = f"{self.table} {self.row}"
        if self.action == "set":
            return f"{what}: {self.column}: {self.before or '(nothing)'} -> {self.after or '(nothing)'}"
        if self.column:
            return f"{what}: {self.action} {self.column}: {self.after}"
        return f"{self.action} {what}{': ' if self.after else ''}{self.after}"


def explain(db: Transactor, operations: Sequence[Operation]) -> tuple[Change, ...]:
    """Return what `operations` would do, in their order; reads, and writes nothing.

    Raises:
        TransactionError, ConnectionLost, ProtocolError: of the database.
    """
    touched = list(dict.fromkeys(_touched(operations)))
    results = db.transact([select(table, [is_row(uid)], _shown_columns(table)) for table, uid in touched])
    rows = {uid: (rows_of(result) or [{}])[0] for (_, uid), result in zip(touched, results, strict=True)}
    return tuple(change for operation in operations for change in _changes(operation, rows))


def _shown_columns(table: str) -> list[str]:
    return ["_uuid", *CONFIG[table]] if table != "Bridge" else ["_uuid", *CONFIG[table], *_BRIDGE_TOO]


_BRIDGE_TOO = ("fail_mode", "protocols", "other_config", "datapath_type", "controller")


def _touched(operations: Sequence[Operation]) -> Iterator[tuple[str, str]]:
    """Yield table and UUID of every row that is changed, or put into or taken out of a named place."""
    for operation in operations:
        table, uid = str(operation["table"]), _uid(operation)
        if operation["op"] in {"update", "mutate", "delete"} and uid:
            yield table, uid
        row = operation.get("row")
        for column, value in row.items() if isinstance(row, Mapping) else ():
            yield from _referred(column, value)
        mutations = operation.get("mutations")
        for column, _, value in mutations if isinstance(mutations, list) else ():
            yield from _referred(column, value)


def _referred(column: str, value: object) -> Iterator[tuple[str, str]]:
    if column in _REFERS:
        for element in _elements(value):
            match element:
                case ["uuid", str(uid)]:
                    yield _REFERS[column], uid


def _uid(operation: Operation) -> str:
    match operation.get("where"):
        case [["_uuid", "==", ["uuid", str(uid)]], *_]:
            return uid
    return ""


def _changes(operation: Operation, rows: Mapping[str, Raw]) -> Iterator[Change]:
    table, uid = str(operation["table"]), _uid(operation)
    held = rows.get(uid, {})
    name = _name(held) or uid
    match operation:
        case {"op": "insert", "row": dict(row)}:
            pairs = ", ".join(f"{key}={text}" for key, value in sorted(row.items()) if (text := _text(value, rows)))
            yield Change("create", table, _name(row) or str(operation["uuid-name"]), after=pairs[:MAX_SHOWN])
        case {"op": "update", "row": dict(row)}:
            for column, value in row.items():
                yield Change("set", table, name, column, _text(held.get(column), rows), _text(value, rows))
        case {"op": "mutate", "mutations": list(mutations)}:
            for column, mutator, value in mutations:
                if column != _COUNTER:
                    yield Change(_MUTATORS.get(mutator, mutator), table, name, column, after=_text(value, rows))
        case {"op": "delete"}:
            yield Change("delete", table, name)


def _name(row: Raw) -> str:
    return str(row.get("name") or row.get("target") or "")


def _elements(value: object) -> list[object]:
    match value:
        case ["set", list(elements)]:
            return elements
    return [] if value is None else [value]


def _text(value: object, rows: Mapping[str, Raw]) -> str:
    """Write a value for people: one line, bounded, references by name."""
    match value:
        case None:
            shown = ""
        case ["set", list(elements)]:
            shown = ", ".join(_text(element, rows) for element in elements)
        case ["map", list(pairs)]:
            shown = ", ".join(f"{key}={_text(entry, rows)}" for key, entry in pairs)
        case ["uuid", str(uid)]:
            shown = _name(rows.get(uid, {})) or uid
        case ["named-uuid", str(label)]:
            shown = f"({label})"
        case bool():
            shown = str(value).lower()
        case _:
            shown = str(value)
    return "".join(c if c.isprintable() else "?" for c in shown[:MAX_SHOWN])

"""The operations of a transaction as values (RFC 7047, section 5.2). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from ovsdb.session import Operation

Row: TypeAlias = Mapping[str, object]
"""Columns of a row, as the server writes them."""


def uuid(uid: str) -> list[str]:
    """Refer to a row that exists."""
    return ["uuid", uid]


def named(name: str) -> list[str]:
    """Refer to a row that this transaction inserts under this name."""
    return ["named-uuid", name]


def set_of(elements: Iterable[object]) -> list[object]:
    """Write a set."""
    return ["set", list(elements)]


def map_of(pairs: Mapping[str, str]) -> list[object]:
    """Write a map; sorted, so that the same wish is the same transaction."""
    return ["map", [list(pair) for pair in sorted(pairs.items())]]


def is_row(uid: str) -> list[object]:
    """The condition that selects one row."""
    return ["_uuid", "==", uuid(uid)]


def select(table: str, where: Sequence[object], columns: Iterable[str]) -> Operation:
    """Read columns."""
    return {"op": "select", "table": table, "where": list(where), "columns": list(columns)}


def insert(table: str, name: str, row: Mapping[str, object]) -> Operation:
    """Make a row, known as `named(name)` to the rest of the transaction."""
    return {"op": "insert", "table": table, "uuid-name": name, "row": dict(row)}


def update(table: str, uid: str, row: Mapping[str, object]) -> Operation:
    """Set columns of one row."""
    return {"op": "update", "table": table, "where": [is_row(uid)], "row": dict(row)}


def mutate(table: str, uid: str, *mutations: Sequence[object]) -> Operation:
    """Change columns of one row in place; each mutation is (column, mutator, value)."""
    return {"op": "mutate", "table": table, "where": [is_row(uid)], "mutations": [list(m) for m in mutations]}


def guard(table: str, where: Sequence[object], rows: Sequence[Row], columns: Iterable[str]) -> Operation:
    """Let the transaction fail (`timed out`) unless these rows, and no others, are what `where` selects now."""
    return {
        "op": "wait",
        "timeout": 0,
        "table": table,
        "where": list(where),
        "columns": list(columns),
        "until": "==",
        "rows": [dict(row) for row in rows],
    }


def map_changes(column: str, actual: Mapping[str, str], wanted: Mapping[str, str | None]) -> list[list[object]]:
    """Return the mutations that bring keys of a map to wanted values (None: absent); none if they are there."""
    stale = [key for key in sorted(wanted) if key in actual and actual[key] != wanted[key]]
    fresh = {key: value for key, value in wanted.items() if value is not None and actual.get(key) != value}
    changes: list[list[object]] = []
    if stale:
        changes.append([column, "delete", set_of(stale)])
    if fresh:
        changes.append([column, "insert", map_of(fresh)])
    return changes

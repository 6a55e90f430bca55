"""The rows that a plan looks at, read in one transaction."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from ovsdb.columns import DEFAULTS, UUID, decode
from ovsdb.config_columns import CONFIG
from ovsdb.errors import EnsureError, ProtocolError
from ovsdb.operations import select
from ovsdb.rows import bound_problem, typed_row
from ovsdb.session import Result, Transactor
from topology.events import RootRow
from topology.site import OWNER_KEY

Raw: TypeAlias = Mapping[str, object]
Query: TypeAlias = tuple[str, Sequence[object]]
"""A table and the conditions of its rows."""
MAX_ROWS = 100_000
"""Rows of one query; a plan reads a handful."""
EMPTY = "the OVSDB database is empty; ensure the bridge first"


@dataclasses.dataclass(frozen=True, slots=True)
class Held:
    """A row of `CONFIG` as the database holds it."""

    table: str
    uid: str
    columns: dict[str, Any]
    """Decoded; the type of each follows from its kind in `CONFIG`."""

    @property
    def name(self) -> str:
        """What people call it; its UUID where it has no name."""
        return str(self.columns.get("name") or self.columns.get("target") or self.uid)

    @property
    def owner(self) -> str | None:
        """Who marked it as theirs."""
        owner: str | None = self.columns["external_ids"].get(OWNER_KEY)
        return owner


@dataclasses.dataclass(frozen=True, slots=True)
class Scene:
    """What one transaction read."""

    root: RootRow
    rows: Mapping[str, Held]
    """By UUID."""

    def named(self, table: str, name: str) -> Held | None:
        """Return the row of a table that has a name (or target)."""
        return next((row for row in self.rows.values() if row.table == table and row.name == name), None)

    def get(self, uid: str | None) -> Held | None:
        """Return a row by UUID, None if it was not read."""
        return self.rows.get(uid) if uid else None

    def top(self) -> Held:
        """Return the row of table Open_vSwitch."""
        return self.rows[self.root.uid]


def by_name(table: str, *names: str) -> list[Query]:
    """Return the queries for rows of these names."""
    return [(table, [["name", "==", name]]) for name in names]


def everything(table: str) -> Query:
    """Return the query for a whole table."""
    return table, []


def read_scene(db: Transactor, queries: Sequence[Query]) -> Scene:
    """Read the root row and what `queries` select.

    Raises:
        EnsureError: the database is empty, or a row breaks a bound.
        ProtocolError, TransactionError, ConnectionLost: of the database.
    """
    asked = [everything("Open_vSwitch"), *queries]
    results = db.transact([select(table, where, ["_uuid", *CONFIG[table]]) for table, where in asked])
    held = [_held(table, raw) for (table, _), result in zip(asked, results, strict=True) for raw in rows_of(result)]
    root = next((row for row in held if row.table == "Open_vSwitch"), None)
    if root is None:
        raise EnsureError(EMPTY)
    typed = typed_row(root.table, root.uid, root.columns)
    if not isinstance(typed, RootRow):
        raise EnsureError(f"{root.table}: a value is out of bounds; mend the row first")
    return Scene(typed, {row.uid: row for row in held})


def rows_of(result: Result) -> list[Raw]:
    """Return the rows that a select answered with.

    Raises:
        ProtocolError: it is no list of rows, or too many.
    """
    match result.get("rows"):
        case list(rows) if len(rows) <= MAX_ROWS and all(isinstance(row, dict) for row in rows):
            return rows
    raise ProtocolError(f"a select must answer with a list of at most {MAX_ROWS} rows")


def _held(table: str, raw: Raw) -> Held:
    kinds = CONFIG[table]
    columns = {name: decode(kind, raw[name]) if name in raw else DEFAULTS[kind] for name, kind in kinds.items()}
    problem = bound_problem(columns)
    if problem:
        raise EnsureError(f"{table} {str(raw.get('name'))[:80]!r}: {problem}; mend the row first")
    return Held(table, uid_of(table, raw), columns)


def uid_of(table: str, raw: Raw) -> str:
    """Return the UUID of a row that a select answered with.

    Raises:
        ProtocolError: it has none.
    """
    match raw.get("_uuid"):
        case ["uuid", str(uid)] if UUID.fullmatch(uid):
            return uid
    raise ProtocolError(f"a row of {table} without a UUID")

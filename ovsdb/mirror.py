"""A copy of the monitored tables, kept by initial contents and differences; it yields typed events."""

from __future__ import annotations

from collections.abc import Iterator

from ovsdb.columns import DEFAULTS, TABLES, UUID, Columns, decode, patch, weight
from ovsdb.errors import ProtocolError
from ovsdb.rows import typed_row
from ovsdb.session import Limits
from topology.events import HostResynced, RefusedRow, Row, RowsChanged

MONITOR_REQUESTS: dict[str, object] = {table: [{"columns": list(columns)}] for table, columns in TABLES.items()}
"""The <monitor-cond-requests> of our monitor (ovsdb-server(7), 4.1.12)."""


class Mirror:
    """The rows of one connection. Whatever does not fit what we hold ends the connection: we then ask anew."""

    def __init__(self, host: str, limits: Limits) -> None:
        self._host = host
        self._limits = limits
        self._rows: dict[str, tuple[str, Columns, Row]] = {}
        """By UUID: table, columns, and what they say."""
        self._weights: dict[str, int] = {}
        self._weight = 0

    def resync(self, tables: object) -> HostResynced:
        """Take the reply to `monitor_cond`.

        Raises:
            ProtocolError: it is not of the form, or exceeds a bound.
        """
        for table, uid, update in _updates(tables):
            if "initial" not in update:
                raise ProtocolError("the answer to the monitor request has a row that is not initial")
            self._insert(table, uid, update["initial"])
        return self.whole()

    def whole(self) -> HostResynced:
        """Return everything we hold."""
        return HostResynced(self._host, tuple(row for _, _, row in self._rows.values()))

    def change(self, tables: object) -> RowsChanged:
        """Take an `update2`: one transaction.

        Raises:
            ProtocolError: it does not fit what we hold, or exceeds a bound.
        """
        rows: list[Row] = []
        gone: list[str] = []
        for table, uid, update in _updates(tables):
            if self._apply(table, uid, update):
                rows.append(self._rows[uid][2])
            else:
                gone.append(uid)
        return RowsChanged(self._host, tuple(rows), tuple(gone))

    def _apply(self, table: str, uid: str, update: dict[str, object]) -> bool:
        """Apply one row's update; False if the row is gone."""
        match update:
            case {"insert": row} | {"initial": row}:
                self._insert(table, uid, row)
            case {"modify": row}:
                self._modify(table, uid, row)
            case {"delete": _}:
                self._delete(table, uid)
                return False
            case _:
                raise ProtocolError(f"an update of {table} that neither inserts, modifies nor deletes")
        return True

    def _insert(self, table: str, uid: str, row: object) -> None:
        if uid in self._rows:
            raise ProtocolError(f"row {uid} of {table} came twice")
        columns = {name: DEFAULTS[kind] for name, kind in TABLES[table].items()} | _decoded(table, row)
        self._keep(table, uid, columns)

    def _modify(self, table: str, uid: str, row: object) -> None:
        columns, said = self._held(table, uid)
        changes = {name: patch(columns[name], value) for name, value in _decoded(table, row).items()}
        # Open vSwitch rewrites one column of every row when one port comes: the others were judged before.
        self._keep(table, uid, columns | changes, None if isinstance(said, RefusedRow) else changes)

    def _delete(self, table: str, uid: str) -> None:
        self._held(table, uid)
        del self._rows[uid]
        self._weight -= self._weights.pop(uid)

    def _held(self, table: str, uid: str) -> tuple[Columns, Row]:
        held = self._rows.get(uid)
        if held is None or held[0] != table:
            raise ProtocolError(f"a change of row {uid} of {table}, which we never saw")
        return held[1:]

    def _keep(self, table: str, uid: str, columns: Columns, changes: Columns | None = None) -> None:
        """Hold a row; `changes` are the columns that are not as they were, None for all."""
        if changes is None:
            heavier = weight(columns) - self._weights.get(uid, 0)
        else:
            before = self._rows[uid][1]
            heavier = weight(changes) - weight({name: before[name] for name in changes})
        self._weight += heavier
        self._weights[uid] = self._weights.get(uid, 0) + heavier
        self._rows[uid] = (table, columns, typed_row(table, uid, columns, changes))
        if len(self._rows) > self._limits.rows or self._weight > self._limits.state_chars:
            raise ProtocolError(f"over {self._limits.rows} rows or {self._limits.state_chars} characters in them")


def _updates(tables: object) -> Iterator[tuple[str, str, dict[str, object]]]:
    """Yield (table, UUID, row update) of a <table-updates2> (ovsdb-server(7), 4.1.14)."""
    for table, rows in _object(tables, "table updates").items():
        if table not in TABLES:
            raise ProtocolError(f"an update of table {table[:80]!r}, which we do not monitor")
        for uid, update in _object(rows, f"updates of {table}").items():
            if not UUID.fullmatch(uid):
                raise ProtocolError(f"a row of {table} under {uid[:80]!r}, which is no UUID")
            yield table, uid, _object(update, f"an update of {table}")


def _decoded(table: str, row: object) -> Columns:
    kinds = TABLES[table]
    columns: Columns = {}
    for name, raw in _object(row, f"a row of {table}").items():
        if name not in kinds:
            raise ProtocolError(f"column {name[:80]!r} of {table}, which we do not monitor")
        columns[name] = decode(kinds[name], raw)
    return columns


def _object(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ProtocolError(f"{what} must be an object, not {type(value).__name__}")
    return value

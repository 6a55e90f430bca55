"""Operations that bring one row to what is wished, and one child row of a parent. Pure.

Every change stands behind a guard on the values it was planned from, the owner's mark among them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from ovsdb.columns import Columns, Kind, Value, encode
from ovsdb.config_columns import CONFIG
from ovsdb.errors import EnsureError
from ovsdb.operations import guard, insert, is_row, map_changes, map_of, mutate, named, set_of, update, uuid
from ovsdb.scene import Held
from ovsdb.session import Operation
from topology.site import OWNER_KEY

Keys: TypeAlias = Mapping[str, Mapping[str, str | None]]
"""By column that holds a map: the keys that matter, None for absent; others are left alone."""


def settle(held: Held, wanted: Columns, keys: Keys | None = None) -> list[Operation]:
    """Return the operations that bring columns to `wanted` and keys of maps to `keys`; none if they are there."""
    kinds = CONFIG[held.table]
    fresh = {name: encode(kinds[name], value) for name, value in wanted.items() if held.columns[name] != value}
    changes = [m for name, pairs in (keys or {}).items() for m in map_changes(name, held.columns[name], pairs)]
    if not fresh and not changes:
        return []
    touched = sorted({*fresh, *(str(change[0]) for change in changes), "external_ids"})
    operations = [update(held.table, held.uid, fresh)] if fresh else []
    operations += [mutate(held.table, held.uid, *changes)] if changes else []
    return [unchanged(held, touched), *operations]


def unchanged(held: Held, columns: Sequence[str]) -> Operation:
    """Let the transaction fail unless a row still is what was read."""
    kinds = CONFIG[held.table]
    read = {name: encode(kinds[name], held.columns[name]) for name in columns}
    return guard(held.table, [is_row(held.uid)], [read], columns)


def made(table: str, label: str, columns: Columns, owner: str) -> Operation:
    """Return the operation that makes a row with our mark, known as `label` to the rest of the transaction."""
    given: Any = columns.get("external_ids") or {}
    marked: Columns = {**columns, "external_ids": {**given, OWNER_KEY: owner}}
    return insert(table, label, {name: encode(CONFIG[table][name], value) for name, value in marked.items()})


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where a child row hangs: a column of its parent."""

    table: str
    """Of the child."""
    parent: Held
    column: str
    owner: str

    @property
    def many(self) -> bool:
        """The column holds any number of them."""
        return CONFIG[self.parent.table][self.column] is Kind.UUIDS

    def ours(self, child: Held | None) -> Held | None:
        """Return the child if it hangs here and is ours, None if there is none.

        Raises:
            EnsureError: it is somebody else's, or the place is taken by another row.
        """
        held = self.parent.columns[self.column]
        if child is not None and child.uid != held and not (self.many and child.uid in held):
            raise EnsureError(f"{self.table} {child.name} exists, but not at {self._where}; use another name")
        if child is None and held and not self.many:
            raise EnsureError(f"{self.table} of {self._where} was made by somebody else; remove it first")
        if child is not None and child.owner != self.owner:
            raise EnsureError(f"{self.table} of {self._where} was made by somebody else; remove it first")
        return child

    def ensure(self, child: Held | None, wanted: Columns, keys: Keys | None = None) -> list[Operation]:
        """Return the operations that make the child, or make it right.

        Raises:
            EnsureError: as `ours`.
        """
        held = self.ours(child)
        if held is not None:
            return settle(held, {name: value for name, value in wanted.items() if name != "external_ids"}, keys)
        whole: dict[str, Value] = dict(wanted)
        for column, pairs in (keys or {}).items():
            whole[column] = {key: value for key, value in pairs.items() if value is not None}
        return [*self._free(), made(self.table, "child", whole, self.owner), self._link(named("child"))]

    def remove(self, child: Held | None) -> list[Operation]:
        """Return the operations that take the child away; none if there is none.

        Raises:
            EnsureError: as `ours`.
        """
        held = self.ours(child)
        if held is None:
            return []
        mine = unchanged(held, ["external_ids"])
        if self.many:
            unlink = mutate(self.parent.table, self.parent.uid, (self.column, "delete", set_of([uuid(held.uid)])))
        else:
            unlink = update(self.parent.table, self.parent.uid, {self.column: set_of([])})
        return [mine, *self._free(), unlink]

    def _free(self) -> list[Operation]:
        """Guard the place itself, if it holds only one, and that the parent is there."""
        columns = ["external_ids"] if self.many else [self.column]
        return [unchanged(self.parent, columns)]

    def _link(self, child: object) -> Operation:
        if self.many:
            return mutate(self.parent.table, self.parent.uid, (self.column, "insert", set_of([child])))
        return update(self.parent.table, self.parent.uid, {self.column: child})

    @property
    def _where(self) -> str:
        return f"{self.parent.table} {self.parent.name}" if self.parent.table != "Open_vSwitch" else "this Open vSwitch"


def marked(owner: str) -> object:
    """Return the condition that a row carries our mark."""
    return ["external_ids", "includes", map_of({OWNER_KEY: owner})]

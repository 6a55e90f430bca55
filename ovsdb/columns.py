"""The tables and columns we monitor, how their values are written (RFC 7047, section 5.1), and their diffs."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ovsdb.errors import ProtocolError

Value: TypeAlias = str | int | bool | frozenset[str] | frozenset[int] | dict[str, str] | dict[int, str] | None
Columns: TypeAlias = dict[str, Value]

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MAX_INTEGER = 2**63


class Kind(enum.Enum):
    """What a column holds. An optional one is a set of at most one element."""

    STRING = "string"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    OPTIONAL_STRING = "optional string"
    OPTIONAL_INTEGER = "optional integer"
    STRINGS = "set of strings"
    UUIDS = "set of UUIDs"
    MAP = "map of strings"
    OPTIONAL_UUID = "optional UUID"
    INTEGERS = "set of integers"
    NUMBERED_UUIDS = "map of integers to UUIDs"


TABLES: Mapping[str, Mapping[str, Kind]] = {
    "Open_vSwitch": {
        "ovs_version": Kind.OPTIONAL_STRING,
        "datapath_types": Kind.STRINGS,
        "next_cfg": Kind.INTEGER,
        "cur_cfg": Kind.INTEGER,
        "external_ids": Kind.MAP,
    },
    "Bridge": {
        "name": Kind.STRING,
        "datapath_type": Kind.STRING,
        "datapath_id": Kind.OPTIONAL_STRING,
        "fail_mode": Kind.OPTIONAL_STRING,
        "protocols": Kind.STRINGS,
        "ports": Kind.UUIDS,
        "controller": Kind.UUIDS,
        "other_config": Kind.MAP,
        "external_ids": Kind.MAP,
    },
    "Port": {
        "name": Kind.STRING,
        "interfaces": Kind.UUIDS,
        "external_ids": Kind.MAP,
    },
    "Interface": {
        "name": Kind.STRING,
        "type": Kind.STRING,
        "ofport": Kind.OPTIONAL_INTEGER,
        "ofport_request": Kind.OPTIONAL_INTEGER,
        "error": Kind.OPTIONAL_STRING,
        "mac_in_use": Kind.OPTIONAL_STRING,
        "external_ids": Kind.MAP,
    },
    "Controller": {
        "target": Kind.STRING,
        "connection_mode": Kind.OPTIONAL_STRING,
        "inactivity_probe": Kind.OPTIONAL_INTEGER,
        "max_backoff": Kind.OPTIONAL_INTEGER,
        "is_connected": Kind.BOOLEAN,
        "external_ids": Kind.MAP,
    },
}
"""Every column of a row of `topology.events`; statistics and the like would only wake us."""

DEFAULTS: Mapping[Kind, Value] = {
    Kind.STRING: "",
    Kind.INTEGER: 0,
    Kind.BOOLEAN: False,
    Kind.OPTIONAL_STRING: None,
    Kind.OPTIONAL_INTEGER: None,
    Kind.STRINGS: frozenset(),
    Kind.UUIDS: frozenset(),
    Kind.MAP: {},
    Kind.OPTIONAL_UUID: None,
    Kind.INTEGERS: frozenset(),
    Kind.NUMBERED_UUIDS: {},
}
"""What a column holds when a new row does not mention it."""


def decode(kind: Kind, raw: object) -> Value:
    """Read a value as the server writes it.

    Raises:
        ProtocolError: it is not of the column's kind.
    """
    return _DECODERS[kind](raw)


def patch(value: Value, difference: Value) -> Value:
    """Apply a difference of update2 (ovsdb-server(7), 4.1.14) to a value."""
    if isinstance(value, frozenset) and isinstance(difference, frozenset):
        mine: frozenset[Any] = value
        theirs: frozenset[Any] = difference
        return mine ^ theirs
    if isinstance(value, dict) and isinstance(difference, dict):
        return _patch_map(value, difference)
    return difference


def weight(columns: Columns) -> int:
    """Characters that a row holds, about."""
    return sum(_weight(value) for value in columns.values())


def _patch_map(value: dict[Any, str], difference: dict[Any, str]) -> dict[Any, str]:
    """A pair that is there already goes; every other one is new or has the new value."""
    patched = dict(value)
    for key, entry in difference.items():
        if patched.get(key) == entry:
            del patched[key]
        else:
            patched[key] = entry
    return patched


def _weight(value: Value) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, frozenset):
        return sum(len(str(element)) for element in value)
    if isinstance(value, dict):
        return sum(len(str(key)) + len(entry) for key, entry in value.items())
    return 1


def _string(raw: object) -> str:
    if not isinstance(raw, str):
        raise ProtocolError(f"a string was expected, not {_shown(raw)}")
    return raw


def _integer(raw: object) -> int:
    if type(raw) is not int or not -MAX_INTEGER <= raw < MAX_INTEGER:
        raise ProtocolError(f"an integer was expected, not {_shown(raw)}")
    return raw


def _boolean(raw: object) -> bool:
    if not isinstance(raw, bool):
        raise ProtocolError(f"a boolean was expected, not {_shown(raw)}")
    return raw


def _uuid(raw: object) -> str:
    match raw:
        case ["uuid", str(text)] if UUID.fullmatch(text):
            return text
    raise ProtocolError(f"a UUID was expected, not {_shown(raw)}")


def _elements(raw: object) -> list[object]:
    """A set is written `["set", [...]]`, or as its only element."""
    match raw:
        case ["set", list(elements)]:
            return elements
        case ["set", _] | ["set"]:
            raise ProtocolError(f"a set was expected, not {_shown(raw)}")
    return [raw]


def _optional(raw: object, read: Callable[[object], Value]) -> Value:
    elements = _elements(raw)
    if len(elements) > 1:
        raise ProtocolError(f"at most one element was expected, not {len(elements)}")
    return read(elements[0]) if elements else None


def _map(raw: object) -> dict[str, str]:
    match raw:
        case ["map", list(pairs)]:
            return dict(_pair(pair) for pair in pairs)
    raise ProtocolError(f"a map was expected, not {_shown(raw)}")


def _pair(raw: object) -> tuple[str, str]:
    match raw:
        case [str(key), str(value)]:
            return key, value
    raise ProtocolError(f"a pair of strings was expected, not {_shown(raw)}")


def _numbered(raw: object) -> dict[int, str]:
    match raw:
        case ["map", list(pairs)] if all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):  # noqa: PLR2004
            return {_integer(number): _uuid(row) for number, row in pairs}
    raise ProtocolError(f"a map of integers to UUIDs was expected, not {_shown(raw)}")


def _shown(raw: object) -> str:
    return f"{type(raw).__name__} {str(raw)[:60]!r}" if isinstance(raw, str | int | float) else type(raw).__name__


_DECODERS: Mapping[Kind, Callable[[object], Value]] = {
    Kind.STRING: _string,
    Kind.INTEGER: _integer,
    Kind.BOOLEAN: _boolean,
    Kind.OPTIONAL_STRING: lambda raw: _optional(raw, _string),
    Kind.OPTIONAL_INTEGER: lambda raw: _optional(raw, _integer),
    Kind.STRINGS: lambda raw: frozenset(map(_string, _elements(raw))),
    Kind.UUIDS: lambda raw: frozenset(map(_uuid, _elements(raw))),
    Kind.MAP: _map,
    Kind.OPTIONAL_UUID: lambda raw: _optional(raw, _uuid),
    Kind.INTEGERS: lambda raw: frozenset(map(_integer, _elements(raw))),
    Kind.NUMBERED_UUIDS: _numbered,
}


def encode(kind: Kind, value: Value) -> object:
    """Write a value as the server reads it; sorted, so that the same value is the same text."""
    if kind is Kind.OPTIONAL_UUID:
        return ["set", []] if value is None else ["uuid", value]
    if value is None:
        return ["set", []]
    if isinstance(value, frozenset):
        return ["set", [["uuid", element] if kind is Kind.UUIDS else element for element in sorted(value)]]
    if isinstance(value, dict):
        pairs = sorted(value.items())
        return ["map", [[key, ["uuid", entry] if kind is Kind.NUMBERED_UUIDS else entry] for key, entry in pairs]]
    return value

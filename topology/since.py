"""Since when each thing of a map has been as it is, as bytes: a restart of the controller dates nothing anew.

JSON lines: the part of the map, the key, state, place, and the instant.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping
from datetime import datetime
from typing import Any

from topology.map import Map, Node, Past, State, Was, place_of
from topology.paths import LinkEnd

PARTS = ("hosts", "bridges", "ports", "links", "tunnels", "networks", "endpoints")
PIECE = 512
"""Things that are written before others come first."""


def dump(found: Map, past: Past, breathe: Callable[[], None]) -> bytes:
    """Return since when everything is as it is.

    Args:
        found: the map.
        past: what has not come back yet, and is kept as it was.
        breathe: called now and then.
    """
    lines: list[str] = []
    for part in PARTS:
        things: Mapping[Hashable, Node] = getattr(found, part)
        known = dict(past.get(part, {}))
        known |= {key: Was(n.state, place_of(n), n.since) for key, n in things.items() if key not in known}
        for key, was in known.items():
            lines.append(json.dumps([part, _plain(key), was.state, was.place, was.since.isoformat()]))
            if len(lines) % PIECE == 0:
                breathe()
    return "\n".join(lines).encode()


def load(raw: bytes) -> Past:
    """Return what `dump` wrote.

    Raises:
        ValueError, TypeError: it did not write this.
    """
    past: dict[str, dict[Hashable, Was]] = {part: {} for part in PARTS}
    for line in raw.decode().splitlines():
        part, key, state, place, since = json.loads(line)
        if part not in past:
            raise ValueError(f"maps have no {part!r:.40}")
        at = datetime.fromisoformat(since)
        if at.tzinfo is None:
            raise ValueError(f"{since} is of no time zone")
        past[part][_key(part, key)] = Was(State(state), str(place), at)
    return past


def without(past: Past, found: Map) -> Past:
    """Return the past without what has come back: should it go and come again, that is news."""
    left = {}
    for part, things in past.items():
        here = getattr(found, part)
        left[part] = {k: was for k, was in things.items() if k not in here or here[k].since != was.since}
    return left


def _plain(key: object) -> object:
    if isinstance(key, LinkEnd):
        return [key.dpid, key.ofport]
    return [_plain(part) for part in key] if isinstance(key, tuple) else key


def _key(part: str, plain: object) -> Hashable:
    if part == "links":
        return tuple(LinkEnd(int(dpid), int(ofport)) for dpid, ofport in _listed(plain))
    if isinstance(plain, str):
        return plain
    return tuple(str(word) for word in _listed(plain))


def _listed(plain: object) -> list[Any]:
    if not isinstance(plain, list):
        raise TypeError(f"{plain!r:.40} is no key")
    return plain

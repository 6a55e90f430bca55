"""Groups built of groups and services of services: no circles, and what they mean in full stays bounded.

Without the bounds a dozen short documents could mean billions of peers, each group naming the next one twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeVar

from intent.schema.documents import Document, GroupDoc, ServiceDoc, ServiceReference
from intent.schema.problems import Place, Problem

MAX_DEPTH = 32
"""Groups inside groups (or services inside services), counted along the longest way."""
MAX_MEANING = 10_000
"""Peers of a group (or matches of a service) with those of all it contains, each as often as it is reached."""
_SHOWN = 8

D = TypeVar("D", bound=Document)


class _Item(NamedTuple):
    """One member or match, and the name it refers to, "" if it does not."""

    place: Place
    target: str


class _Meaning(NamedTuple):
    size: int
    depth: int


def reference_problems(groups: Mapping[str, GroupDoc], services: Mapping[str, ServiceDoc]) -> Iterator[Problem]:
    """Yield a problem for each circle and for each document that means too much."""
    yield from _walk(groups, _members, "group")
    yield from _walk(services, _matches, "service")


def _members(doc: GroupDoc) -> Iterator[_Item]:
    for index, member in enumerate(doc.members):
        yield _Item(("members", index, "group"), member.group or "")


def _matches(doc: ServiceDoc) -> Iterator[_Item]:
    for index, item in enumerate(doc.matches):
        yield _Item(("matches", index, "service"), item.service if isinstance(item, ServiceReference) else "")


def _walk(docs: Mapping[str, D], items_of: Callable[[D], Iterator[_Item]], what: str) -> Iterator[Problem]:
    """Go down every reference with a stack of our own, as chains may be long; measure on the way up."""
    meanings: dict[str, _Meaning] = {}
    for start in docs:
        trail = {} if start in meanings else {start: items_of(docs[start])}
        while trail:
            name = next(reversed(trail))
            item = next(trail[name], None)
            if item is None:
                del trail[name]
                meanings[name] = _measure(items_of(docs[name]), meanings)
                if meanings[name].size > MAX_MEANING or meanings[name].depth > MAX_DEPTH:
                    yield _too_much(docs[name], meanings[name], what)
                    meanings[name] = _Meaning(1, 1)  # reported once, not again for all that contain it
            elif item.target in trail:
                yield _circle(docs[name], item, list(trail), what)
            elif item.target in docs and item.target not in meanings:
                trail[item.target] = items_of(docs[item.target])


def _measure(items: Iterator[_Item], meanings: Mapping[str, _Meaning]) -> _Meaning:
    parts = [meanings.get(item.target, _Meaning(1, 0)) for item in items]
    return _Meaning(sum(part.size for part in parts), 1 + max(part.depth for part in parts))


def _too_much(doc: Document, meaning: _Meaning, what: str) -> Problem:
    if meaning.depth > MAX_DEPTH:
        return doc.problem((), f"the {what} is nested more than {MAX_DEPTH} deep", "name what it contains directly")
    message = f"the {what} means {meaning.size} items with all it contains, the limit is {MAX_MEANING}"
    return doc.problem((), message, "name each thing once, or split it")


def _circle(doc: Document, item: _Item, trail: list[str], what: str) -> Problem:
    chain = trail[trail.index(item.target) :]
    shown = [*chain[:_SHOWN], *(["…"] if len(chain) > _SHOWN else []), item.target]
    return doc.problem(item.place, f"the {what} contains itself: {' -> '.join(shown)}", "break the circle")

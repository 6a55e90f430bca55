"""What only one endpoint, uplink or mirror may have: a binding, and in a network a MAC and an address."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from intent.schema.documents import Document, EndpointDoc, UplinkDoc
from intent.schema.handling import MirrorDoc
from intent.schema.problems import Place, Problem, echo

Thing: TypeAlias = tuple[str | None, ...]


def shared_things(plugged: Iterable[EndpointDoc | UplinkDoc | MirrorDoc]) -> Iterator[Problem]:
    """Yield a problem for each thing that two have."""
    holders: dict[Thing, EndpointDoc | UplinkDoc | MirrorDoc] = {}
    for doc in plugged:
        for place, thing in _things(doc):
            holder = holders.get(thing)
            if holder is None:
                holders[thing] = doc
            else:
                message = f"{_shown(thing)} is already that of the {holder.kind.lower()} `{holder.name}`"
                yield doc.problem(place, message, "give each its own, once")


class Holders:
    """Who has what, kept up at the cost of what changes. The documents it knows share nothing."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self._holders: dict[Thing, tuple[str, str]] = {}
        for document in documents:
            self.change(None, document)

    def change(self, was: Document | None, now: Document | None) -> None:
        """Take in that a document is now another one, or came, or went."""
        for thing in _all_things(was):
            self._holders.pop(thing, None)
        for thing in _all_things(now):
            self._holders[thing] = _key(now)

    def fit(self, put: Iterable[Document], gone: Iterable[tuple[str, str]]) -> bool:
        """Return whether nothing would be shared with these documents put and those (kind, name) gone.

        A document that is put does not keep what it had. False may be said of a change in which things are exchanged.
        """
        left, taken = set(gone), set[Thing]()
        for document in put:
            for thing in _all_things(document):
                holder = self._holders.get(thing)
                if thing in taken or (holder is not None and holder != _key(document) and holder not in left):
                    return False
                taken.add(thing)
        return True


def same_things(was: Document | None, now: Document) -> bool:
    """Whether a document has what it had before, and nothing else."""
    if isinstance(was, EndpointDoc) and isinstance(now, EndpointDoc):
        mine, before = (now.network, now.mac, now.addresses), (was.network, was.mac, was.addresses)
        return mine == before and _place(now) == _place(was)
    return False


def _key(document: Document | None) -> tuple[str, str]:
    return ("", "") if document is None else (document.kind, document.name)


def _all_things(document: Document | None) -> Iterator[Thing]:
    if isinstance(document, EndpointDoc | UplinkDoc | MirrorDoc):
        yield from (thing for _, thing in _things(document))


def _things(doc: EndpointDoc | UplinkDoc | MirrorDoc) -> Iterator[tuple[Place, Thing]]:
    yield ("binding",), ("binding", *_place(doc))
    if not isinstance(doc, EndpointDoc) or doc.network is None:
        return
    if doc.mac is not None:
        yield ("mac",), ("mac", doc.network, doc.mac)
    for index, text in enumerate(doc.addresses or ()):
        yield ("addresses", index), ("address", doc.network, text)


def _place(doc: EndpointDoc | UplinkDoc | MirrorDoc) -> Thing:
    binding = doc.binding  # pydantic takes ten times as long to compare two of them
    return (binding.iface_id, binding.bridge, binding.interface)


def _shown(thing: Thing) -> str:
    what, *where = thing
    if what != "binding":
        return str(where[-1])
    iface_id, bridge, interface = where
    return f"the binding {echo(iface_id or f'{bridge}/{interface}')}"

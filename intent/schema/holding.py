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
    holders: dict[Thing, str] = {}
    for doc in plugged:
        for place, thing, what in _things(doc):
            if thing in holders:
                message = f"{what} is already that of the {holders[thing]}"
                yield doc.problem(place, message, "give each its own, once")
            holders.setdefault(thing, f"{doc.kind.lower()} `{doc.name}`")


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


def _key(document: Document | None) -> tuple[str, str]:
    return ("", "") if document is None else (document.kind, document.name)


def _all_things(document: Document | None) -> Iterator[Thing]:
    if isinstance(document, EndpointDoc | UplinkDoc | MirrorDoc):
        yield from (thing for _, thing, _ in _things(document))


def _things(doc: EndpointDoc | UplinkDoc | MirrorDoc) -> Iterator[tuple[Place, Thing, str]]:
    binding = doc.binding
    where = binding.iface_id or f"{binding.bridge}/{binding.interface}"
    yield ("binding",), ("binding", binding.iface_id, binding.bridge, binding.interface), f"the binding {echo(where)}"
    if isinstance(doc, UplinkDoc | MirrorDoc) or doc.network is None:
        return
    if doc.mac is not None:
        yield ("mac",), ("mac", doc.network, doc.mac), doc.mac
    for index, text in enumerate(doc.addresses or ()):
        yield ("addresses", index), ("address", doc.network, text), text

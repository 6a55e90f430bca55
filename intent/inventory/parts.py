"""What each row and each document says by itself, found again when one of them, or what it names, changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TypeAlias, TypeVar

from intent.inventory.candidates import (
    Bindings,
    Gathered,
    consider,
    declared_keys,
    location_of,
    report_refused,
    report_unplugged,
)
from intent.inventory.declared import IFACE_ID, read
from intent.inventory.drafts import Candidate
from intent.inventory.grants import Grants
from intent.inventory.mirrors import Mirrors
from intent.inventory.tally import Counted, Ordered
from intent.inventory.uplinks import Uplinks
from intent.inventory.values import ClaimKey
from intent.model import Binding, EndpointIntent, Intents
from topology.frozen import differing
from topology.joined import Joined, RowId
from topology.model import MirrorPort, Report, UplinkPort
from topology.site import Site, SiteInterface

K = TypeVar("K")
Word: TypeAlias = tuple[str, ...]
"""What a row names that may change: (`place`, bridge, interface), (`name`, endpoint), (`network`, name)."""
Source: TypeAlias = tuple[str, str, str, str, int]
"""Host, bridge, interface name and UUID, and which of the candidates it is there: in this order `build` finds them."""


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """What one interface says, with its documents."""

    words: frozenset[Word] = frozenset()
    reports: tuple[Report, ...] = ()
    candidates: Mapping[Source, Candidate] = dataclasses.field(default_factory=dict)
    declared: frozenset[ClaimKey] = frozenset()
    plugged: frozenset[str] = frozenset()


NOTHING = Part()
_NO_INTENTS = Intents()


class Parts:
    """All that is said. For one thread at a time."""

    def __init__(self, grants: Grants) -> None:
        """Begin with nothing."""
        self._grants = grants
        self._uplinks = Uplinks(_NO_INTENTS)
        self._mirrors = Mirrors(_NO_INTENTS)
        self._leading: dict[RowId, SiteInterface] = {}
        """The interfaces that are uplinks, or mirrors'."""
        self._of_uplinks: dict[str, Gathered] = {}
        self.uplinks: tuple[UplinkPort, ...] = ()
        self.mirrors: tuple[MirrorPort, ...] = ()
        self._joined = Joined()
        self._bindings = Bindings()
        self._intents = _NO_INTENTS
        self._parts: dict[RowId, Part] = {}
        self._by_word: dict[Word, dict[RowId, None]] = {}
        self._plugged: Counted[str] = Counted()
        self._of_documents: dict[str, Gathered] = {}
        self._of_refused: dict[RowId, Gathered] = {}
        self.declared: Counted[ClaimKey] = Counted()
        self.reports: Ordered[Report] = Ordered(_whole)
        self.gone: dict[Source, Candidate] = {}
        """Candidates that went, or are not as they were, since somebody took them out of here."""
        self.come: dict[Source, Candidate] = {}

    def follow(self, site: Site, intents: Intents) -> None:
        """Follow the site and the documents; `gone` and `come` say what that did."""
        was, now = self._intents, intents
        named = {n: (was.endpoints.get(n), now.endpoints.get(n)) for n in differing(was.endpoints, now.endpoints)}
        networks = differing(was.networks, now.networks)
        bound = _bound(was, now)
        self._intents = intents
        if bound:
            self._uplinks, self._mirrors = Uplinks(intents), Mirrors(intents)
        for old, new in named.values():
            self._bind(old, new)
        changes = self._joined.follow(site)
        for place, refused in changes.refused.items():
            told = Gathered()
            if refused is not None:
                report_refused(told, place[0], refused)
            _replace(self, self._of_refused, place, told)
        words = {word for pair in named.values() for document in pair if document for word in _words_of(document)}
        words |= {("network", name) for name in networks} | {word for binding in bound for word in _places_of(binding)}
        dirty = dict.fromkeys(changes.interfaces) | {p: None for w in words for p in self._by_word.get(w, ())}
        leading = self._leading.copy()
        dirty.update(dict.fromkeys(leading if bound else ()))
        for place in dirty:
            self._consider(place)
        if bound or leading != self._leading or was is _NO_INTENTS:
            self._lead()
        for name in {**named, **dict.fromkeys(self._plugged.turned())}:
            self._say_of(name)

    def _bind(self, was: EndpointIntent | None, now: EndpointIntent | None) -> None:
        if was is not None:
            self._bindings.drop(was)
        if now is not None:
            self._bindings.put(now)

    def _consider(self, place: RowId) -> None:
        before, interface = self._parts.pop(place, NOTHING), self._joined.interfaces.get(place)
        self._leading.pop(place, None)
        if interface is None or not interface.ours:
            after = NOTHING
        elif self._leads(interface):
            self._leading[place], after = interface, NOTHING
        else:
            after = self._part(interface)
        if after is not NOTHING:
            self._parts[place] = after
        if before == after:
            return
        self._file(place, before.words, after.words)
        self.gone.update((s, c) for s, c in before.candidates.items() if after.candidates.get(s) != c)
        self.come.update((s, c) for s, c in after.candidates.items() if before.candidates.get(s) != c)
        self.reports.change(before.reports, after.reports)
        self.declared.change(before.declared, -1)
        self.declared.change(after.declared, 1)
        self._plugged.change(before.plugged, -1)
        self._plugged.change(after.plugged, 1)

    def _leads(self, interface: SiteInterface) -> bool:
        iface_id = interface.external_ids.get(IFACE_ID)
        return any(those.of(interface, iface_id) is not None for those in (self._uplinks, self._mirrors))

    def _lead(self) -> None:
        """Look at all uplinks and mirrors anew: they are few."""
        uplinks, mirrors, told = Uplinks(self._intents), Mirrors(self._intents), Gathered()
        for interface in sorted(self._leading.values(), key=lambda i: (i.host, i.bridge, i.name, i.uid)):
            iface_id = interface.external_ids.get(IFACE_ID)
            if (uplink := uplinks.of(interface, iface_id)) is not None:
                uplinks.take(uplink, interface, location_of(interface))
            elif (mirror := mirrors.of(interface, iface_id)) is not None:
                mirrors.take(mirror, interface, location_of(interface))
        told.reports.extend((*uplinks.reports(), *mirrors.reports()))
        self.uplinks = uplinks.ports() if uplinks.ports() != self.uplinks else self.uplinks
        self.mirrors = mirrors.ports() if mirrors.ports() != self.mirrors else self.mirrors
        _replace(self, self._of_uplinks, "", told)

    def _file(self, place: RowId, was: frozenset[Word], now: frozenset[Word]) -> None:
        for word in was - now:
            del self._by_word[word][place]
            if not self._by_word[word]:
                del self._by_word[word]
        for word in now - was:
            self._by_word.setdefault(word, {})[place] = None

    def _part(self, interface: SiteInterface) -> Part:
        gathered = Gathered(grants=self._grants)
        consider(gathered, self._intents, self._bindings, interface)
        where = (interface.host, interface.bridge, interface.name, interface.uid)
        return Part(
            frozenset(self._words(interface)),
            tuple(gathered.reports),
            {(*where, number): candidate for number, candidate in enumerate(gathered.candidates)},
            frozenset(gathered.declared),
            frozenset(gathered.plugged),
        )

    def _words(self, interface: SiteInterface) -> Iterator[Word]:
        row = read(interface.external_ids)
        yield "place", interface.bridge, interface.name
        yield "name", row.iface_id or interface.name
        networks = (row.network, *(document.network for document in self._bindings.of(interface, row)))
        yield from (("network", network) for network in networks if network)

    def _say_of(self, name: str) -> None:
        """Collect what is to be said of a document by itself."""
        new, document = Gathered(), self._intents.endpoints.get(name)
        if document is not None:
            new.declared.update(declared_keys(document))
            if name not in self._plugged.counts:
                report_unplugged(new, document)
        _replace(self, self._of_documents, name, new)


def _replace(parts: Parts, where: dict[K, Gathered], key: K, new: Gathered) -> None:
    """Let something say this now."""
    old = where.pop(key, None) or Gathered()
    parts.reports.change(old.reports, new.reports)
    parts.declared.change(old.declared, -1)
    parts.declared.change(new.declared, 1)
    if new.reports or new.declared:
        where[key] = new


def _words_of(document: EndpointIntent) -> Iterator[Word]:
    """Yield what a row may name that is bound by a document, or whose name it takes."""
    yield "name", document.name
    yield from _places_of(document.binding)


def _places_of(binding: Binding) -> Iterator[Word]:
    """Yield what a row may name that is bound."""
    if binding.iface_id is not None:
        yield "name", binding.iface_id
    elif binding.bridge is not None and binding.interface is not None:
        yield "place", binding.bridge, binding.interface


def _bound(was: Intents, now: Intents) -> list[Binding]:
    """Return what binds the uplinks and mirrors that are not what they were, or did."""
    pairs = [(was.uplinks.get(n), now.uplinks.get(n)) for n in differing(was.uplinks, now.uplinks)]
    found = [document.binding for pair in pairs for document in pair if document is not None]
    taps = [(was.mirrors.get(n), now.mirrors.get(n)) for n in differing(was.mirrors, now.mirrors)]
    return found + [document.binding for pair in taps for document in pair if document is not None]


def _whole(report: Report) -> Report:
    return report

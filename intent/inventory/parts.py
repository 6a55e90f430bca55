"""What each row and each document says by itself, found again when one of them, or what it names, changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias, TypeVar

from intent.inventory.candidates import (
    Bindings,
    Gathered,
    Heard,
    consider,
    declared_keys,
    location_of,
    refused_report,
    unplugged,
)
from intent.inventory.declared import IFACE_ID
from intent.inventory.drafts import Candidate
from intent.inventory.grants import Grants
from intent.inventory.mirrors import Mirrors
from intent.inventory.relabel import relabelled, same_but_labels
from intent.inventory.tally import Counted, Ordered
from intent.inventory.uplinks import Uplinks
from intent.inventory.values import ClaimKey
from intent.model import Binding, EndpointIntent, Intents
from topology.events import RefusedRow
from topology.frozen import differing
from topology.joined import Joined, RowId
from topology.model import MirrorPort, Report, UplinkPort
from topology.site import Site, SiteInterface

K = TypeVar("K")
Word: TypeAlias = tuple[str, ...]
"""What a row names that may change: (`place`, bridge, interface), (`name`, endpoint), (`network`, name)."""
Source: TypeAlias = tuple[str, str, str, str, int]
"""Host, bridge, interface name and UUID, and which of the candidates it is there: in this order `build` finds them."""


Move: TypeAlias = tuple[Source, Candidate | None, Candidate | None]
"""What was a candidate, and what is; None for nothing."""


class Part(NamedTuple):
    """What one interface says, with its documents."""

    words: tuple[Word, ...] = ()
    reports: tuple[Report, ...] = ()
    candidates: tuple[tuple[Source, Candidate], ...] = ()
    declared: frozenset[ClaimKey] = frozenset()
    plugged: frozenset[str] = frozenset()
    heard: Heard | None = None
    """Where it says all this from."""


class Said(NamedTuple):
    """What one document, or one refused row, says by itself."""

    reports: tuple[Report, ...] = ()
    declared: tuple[ClaimKey, ...] = ()


NOTHING, SILENCE = Part(), Said()
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
        self._of_uplinks: dict[str, Said] = {}
        self.uplinks: tuple[UplinkPort, ...] = ()
        self.mirrors: tuple[MirrorPort, ...] = ()
        self._joined = Joined()
        self._bindings = Bindings()
        self._intents = _NO_INTENTS
        self._parts: dict[RowId, Part] = {}
        self._by_word: dict[Word, dict[RowId, None]] = {}
        self._plugged: Counted[str] = Counted()
        self._of_documents: dict[str, Said] = {}
        self._of_refused: dict[RowId, Said] = {}
        self.declared: Counted[ClaimKey] = Counted()
        self.reports: Ordered[Report] = Ordered(_whole)
        self._moves: list[Move] = []
        self._unsaid: list[Report] = []
        """Reports that are no more; like those in `_said` they are told all at once."""
        self._said: list[Report] = []

    def taken(self) -> list[Move]:
        """Return the candidates that came, went or are not as they were since the last time, each once."""
        moves, self._moves = self._moves, []
        return moves

    def follow(self, site: Site, intents: Intents) -> None:
        """Follow the site and the documents; `taken` says what that did to candidates."""
        was, now = self._intents, intents
        named = {n: (was.endpoints.get(n), now.endpoints.get(n)) for n in differing(was.endpoints, now.endpoints)}
        networks = differing(was.networks, now.networks)
        bound = _bound(was, now)
        self._intents = intents
        if bound:
            self._uplinks, self._mirrors = Uplinks(intents), Mirrors(intents)
        for old, new in named.values():
            self._bindings.change(old, new)
        changes = self._joined.follow(site)
        for place, refused in changes.refused.items():
            self._replace(self._of_refused, place, _said_of_refused(place[0], refused))
        words = {word for name, pair in named.items() for word in _words_of(name, *pair)}
        words |= {("network", name) for name in networks} | {word for binding in bound for word in _places_of(binding)}
        dirty = dict.fromkeys(changes.interfaces)
        for word in words & self._by_word.keys():
            dirty.update(self._by_word[word])
        leading = self._leading.copy()
        dirty.update(dict.fromkeys(leading if bound else ()))
        for place in dirty:
            self._consider(place)
        if bound or leading != self._leading or was is _NO_INTENTS:
            self._lead()
        said = [n for n, (old, new) in named.items() if old is None or new is None or not same_but_labels(old, new)]
        for name in {*said, *self._plugged.turned()}:
            self._replace(self._of_documents, name, self._said_of(name))
        self.reports.change(self._unsaid, self._said)
        self._unsaid, self._said = [], []

    def _consider(self, place: RowId) -> None:
        before, interface = self._parts.get(place, NOTHING), self._joined.interfaces.get(place)
        if self._leading:
            self._leading.pop(place, None)
        if interface is None or not interface.ours:
            after = NOTHING
        elif self._leads(interface):
            self._leading[place], after = interface, NOTHING
        else:
            heard = self._bindings.heard(interface, before.heard)
            after = self._relabelled(before, heard) or self._part(heard)
        self._parts[place] = after
        if after is NOTHING:
            del self._parts[place]
        self._tell(place, before, after)

    def _tell(self, place: RowId, before: Part, after: Part) -> None:
        """Take in that an interface says this now."""
        if before.candidates != after.candidates:
            self._moves.extend(_moves(dict(before.candidates), dict(after.candidates)))
        if before.words != after.words:
            self._file(place, before.words, after.words)
        if before.reports != after.reports:
            self._unsaid.extend(before.reports)
            self._said.extend(after.reports)
        self.declared.replace(before.declared, after.declared)
        self._plugged.replace(before.plugged, after.plugged)

    def _leads(self, interface: SiteInterface) -> bool:
        if not self._intents.uplinks and not self._intents.mirrors:
            return False
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
        self._replace(self._of_uplinks, "", Said(tuple(told.reports)))

    def _file(self, place: RowId, was: tuple[Word, ...], now: tuple[Word, ...]) -> None:
        for word in set(was).difference(now):
            del self._by_word[word][place]
            if not self._by_word[word]:
                del self._by_word[word]
        for word in set(now).difference(was):
            self._by_word.setdefault(word, {})[place] = None

    def _relabelled(self, before: Part, heard: Heard) -> Part | None:
        """Return what is said if only labels are others, which is the commonest of changes; else None."""
        if before.heard is None or len(before.candidates) != 1:
            return None
        ((source, candidate),) = before.candidates
        if self._intents.networks.get(candidate.network.name) is not candidate.network:
            return None
        made = relabelled(before.heard, heard, candidate)
        return None if made is None else before._replace(candidates=((source, made),), heard=heard)

    def _part(self, heard: Heard) -> Part:
        gathered, interface = Gathered(grants=self._grants), heard.interface
        consider(gathered, self._intents, heard)
        where = (interface.host, interface.bridge, interface.name, interface.uid)
        return Part(
            tuple(_words_in(heard)),
            tuple(gathered.reports),
            tuple([((*where, number), candidate) for number, candidate in enumerate(gathered.candidates)]),
            frozenset(gathered.declared),
            frozenset(gathered.plugged),
            heard,
        )

    def _said_of(self, name: str) -> Said:
        """Return what is to be said of a document by itself."""
        document = self._intents.endpoints.get(name)
        if document is None:
            return SILENCE
        reports = () if name in self._plugged.counts else (unplugged(document),)
        return Said(reports, tuple(declared_keys(document)))

    def _replace(self, where: dict[K, Said], key: K, new: Said) -> None:
        """Let something say this now."""
        old = where.pop(key, SILENCE)
        if new != SILENCE:
            where[key] = new
        if old.reports != new.reports:
            self._unsaid.extend(old.reports)
            self._said.extend(new.reports)
        self.declared.replace(old.declared, new.declared)


def _moves(was: Mapping[Source, Candidate], now: Mapping[Source, Candidate]) -> Iterator[Move]:
    """Yield what is another of the candidates of one interface."""
    for source, candidate in was.items():
        if (after := now.get(source)) != candidate:
            yield source, candidate, after
    yield from ((source, None, candidate) for source, candidate in now.items() if source not in was)


def _said_of_refused(host: str, row: RefusedRow | None) -> Said:
    return SILENCE if row is None else Said((refused_report(host, row),))


def _words_in(heard: Heard) -> Iterator[Word]:
    """Yield what a row and its documents name."""
    interface, row, documents = heard
    yield "place", interface.bridge, interface.name
    yield "name", row.iface_id or interface.name
    if row.network:
        yield "network", row.network
    yield from [("network", document.network) for document in documents if document.network]


def _words_of(name: str, *documents: EndpointIntent | None) -> Iterator[Word]:
    """Yield what a row may name that is bound by a document, as it was and is, or whose name it takes."""
    yield "name", name
    for document in documents:
        if document is not None:
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

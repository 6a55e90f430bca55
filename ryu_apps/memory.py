"""What the controller must not forget between two starts, kept in the store.

The generation id makes this start the newest master. The owner id marks what it made in OVSDB. The
id map, the claims and the learned addresses are inputs of the compiler: with them a restart makes
byte-equal tables, and changes nobody's claim.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from intent.compiler import IdMap
from intent.compiler.engine import IdChange, applied
from intent.inventory import (
    Claims,
    Learned,
    dump_claim_changes,
    dump_claims,
    dump_learned,
    dump_learned_changes,
    load_claim_changes,
    load_claims,
    load_learned,
    load_learned_changes,
)
from ryu_apps.journal import Journal
from topology.frozen import frozen
from topology.links import dump_links, load_links
from topology.paths import Link

log = logging.getLogger("ringfence.memory")

GENERATION, OWNER, IDS, CLAIMS, LEARNED = "generation", "owner", "ids", "claims", "learned"
GAUGES = "gauges"
LINKS = "links"
SINCE = "since"
A = TypeVar("A")
T = TypeVar("T")


class Damaged(Exception):
    """A key of the state holds something else; the message names the remedy."""


class StateStore(Protocol):
    """The part of the store that is used here."""

    def state(self, key: str) -> bytes | None:
        """Return what was put under a key."""

    def put_state(self, values: Mapping[str, bytes | None]) -> None:
        """Put several keys in one durable transaction."""


@dataclasses.dataclass(frozen=True, slots=True)
class Draft:
    """What is to be made durable, as bytes, and what is known once it is."""

    news: Mapping[str, bytes | None]
    numbers: IdChange
    claims: Claims
    learned: Learned
    journals: tuple[Journal, ...]


class Memory:
    """The persisted state. Reading raises Damaged where a value cannot be read."""

    def __init__(self, store: StateStore) -> None:
        """Read everything; raise the generation and make it durable.

        Raises:
            Damaged: the state is not what this program wrote.
        """
        self._store = store
        self.generation = self._read(GENERATION, int, 0) + 1
        self.owner = self._read(OWNER, bytes.decode, "") or uuid.uuid4().hex[:16]
        self._lock = threading.Lock()
        self._journals = {name: Journal(name, store.state) for name in (IDS, CLAIMS, LEARNED)}
        since = [_made(IDS, IdChange.from_json, entry) for entry in self._journals[IDS].entries()]
        self._numbers: tuple[IdMap, list[IdChange]] = self._read(IDS, IdMap.from_json, IdMap()), since
        """The id map, and what changed since. One object, so that a thread that takes no lock reads either pair."""
        self.claims: Claims = frozen(self._read(CLAIMS, load_claims, {}))
        for entry in self._journals[CLAIMS].entries():
            self.claims = _made(CLAIMS, functools.partial(load_claim_changes, self.claims), entry)
        self.learned: Learned = frozen(self._read(LEARNED, load_learned, {}))
        for entry in self._journals[LEARNED].entries():
            self.learned = _made(LEARNED, functools.partial(load_learned_changes, self.learned), entry)
        self.links: frozenset[Link] = self._read(LINKS, load_links, frozenset())
        """Links between switches that were proven last."""
        news: dict[str, bytes | None] = {GENERATION: str(self.generation).encode(), OWNER: self.owner.encode()}
        store.put_state(news | self._whole())

    @property
    def ids(self) -> IdMap:
        """The durable id map; put together when somebody asks."""
        with self._lock:
            if self._numbers[1]:
                self._numbers = applied(*self._numbers), []
            return self._numbers[0]

    def keep_links(self, links: frozenset[Link]) -> None:
        """Make the proven links durable, so that a restart does not begin without any."""
        if links != self.links:
            self._store.put_state({LINKS: dump_links(links)})
            self.links = links

    def _read(self, key: str, decode: Callable[[bytes], T], default: T) -> T:
        raw = self._store.state(key)
        return default if raw is None else _made(key, decode, raw)

    def _whole(self) -> dict[str, bytes | None]:
        """Return the whole of what has entries, in place of them."""
        wholes: dict[str, Callable[[], bytes]] = {
            IDS: lambda: self.ids.to_json().encode(),
            CLAIMS: lambda: dump_claims(self.claims),
            LEARNED: lambda: dump_learned(self.learned),
        }
        news: dict[str, bytes | None] = {}
        for name, journal in self._journals.items():
            if journal.has_entries:
                news |= journal.rewrite(wholes[name]())
                journal.done()
        return news

    def draft(self, change: IdChange, claims: Claims, learned: Learned) -> Draft:
        """Return what is to be made durable, those of the compiler's inputs that changed; asks no store."""
        held = dump_claim_changes(self.claims, claims)
        entries = (
            (IDS, change.to_json().encode() if change else b"", lambda: self._ids_after(change).to_json().encode()),
            (CLAIMS, held, lambda: dump_claims(claims) if self.claims else held),  # from nothing, the change is all
            (LEARNED, dump_learned_changes(self.learned, learned), lambda: dump_learned(learned)),
        )
        news: dict[str, bytes | None] = {}
        journals = []
        for name, entry, whole in entries:
            if entry:
                journals.append(self._journals[name])
                news |= self._journals[name].note(entry, whole)
        return Draft(news, change, claims, learned, tuple(journals))

    def _ids_after(self, change: IdChange) -> IdMap:
        """Return what `ids` will be. Takes no lock: a thread of the system's must not wait for a green one."""
        ids, news = self._numbers
        return applied(ids, [*news, change])

    def put(self, draft: Draft) -> None:
        """Make a draft durable, all of it in one transaction; returns when it is."""
        if draft.news:
            self._store.put_state(draft.news)
        for journal in draft.journals:
            journal.done()
        if draft.numbers:
            with self._lock:
                self._numbers[1].append(draft.numbers)
                if IDS in draft.news:  # the whole was written: so the changes since never grow longer than it, here too
                    self._numbers = applied(*self._numbers), []
        self.claims, self.learned = draft.claims, draft.learned

    @property
    def gauges(self) -> bytes | None:
        """What `Gauges.dump` returned last."""
        return self._store.state(GAUGES)

    def keep_gauges(self, dump: bytes) -> None:
        """Make the totals of endpoints durable."""
        self._store.put_state({GAUGES: dump})

    @property
    def since(self) -> bytes | None:
        """What `topology.since.dump` returned last."""
        return self._store.state(SINCE)

    def keep_since(self, dump: bytes) -> None:
        """Make it durable since when things are as they are."""
        self._store.put_state({SINCE: dump})

    def keep(self, change: IdChange, claims: Claims, learned: Learned) -> None:
        """Make the compiler's inputs durable, those that changed; returns when they are."""
        self.put(self.draft(change, claims, learned))


def _made(key: str, decode: Callable[[A], T], raw: A) -> T:
    try:
        return decode(raw)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(f"state {key!r} of the store cannot be read ({error!r:.200}): restore a backup") from error

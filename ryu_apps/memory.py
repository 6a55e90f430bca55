"""What the controller must not forget between two starts, kept in the store.

The generation id makes this start the newest master. The owner id marks what it made in OVSDB. The
id map, the claims and the learned addresses are inputs of the compiler: with them a restart makes
byte-equal tables, and changes nobody's claim.
"""

from __future__ import annotations

import itertools
import logging
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, TypeVar

from intent.compiler import IdMap
from intent.compiler.engine import IdChange, applied
from intent.inventory import Claims, Learned, dump_claims, dump_learned, load_claims, load_learned

log = logging.getLogger("ringfence.memory")

GENERATION, OWNER, IDS, CLAIMS, LEARNED = "generation", "owner", "ids", "claims", "learned"
MIN_JOURNAL = 1 << 20
"""Bytes of changes that are written before the whole id map is written again."""
T = TypeVar("T")


class Damaged(Exception):
    """A key of the state holds something else; the message names the remedy."""


class StateStore(Protocol):
    """The part of the store that is used here."""

    def state(self, key: str) -> bytes | None:
        """Return what was put under a key."""

    def put_state(self, values: Mapping[str, bytes | None]) -> None:
        """Put several keys in one durable transaction."""


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
        self._ids = self._read(IDS, IdMap.from_json, IdMap())
        self._news: list[IdChange] = list(self._journal())
        self._lock = threading.Lock()
        self._entries, self._written, self._limit = len(self._news), 0, 0
        self.claims: Claims = self._read(CLAIMS, load_claims, {})
        self.learned: Learned = self._read(LEARNED, load_learned, {})
        news: dict[str, bytes | None] = {GENERATION: str(self.generation).encode(), OWNER: self.owner.encode()}
        store.put_state(news | (self._whole(self.ids) if self._entries else {}))
        self._entries = 0

    @property
    def ids(self) -> IdMap:
        """The durable id map; put together when somebody asks."""
        with self._lock:
            if self._news:
                self._ids, self._news = applied(self._ids, self._news), []
            return self._ids

    def _journal(self) -> Iterator[IdChange]:
        """Yield the changes that were written since the id map was."""
        for number in itertools.count(1):
            change = self._read(_entry(number), IdChange.from_json, None)
            if change is None:
                return
            yield change

    def _read(self, key: str, decode: Callable[[bytes], T], default: T) -> T:
        raw = self._store.state(key)
        if raw is None:
            return default
        try:
            return decode(raw)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Damaged(f"state {key!r} of the store cannot be read ({error!r:.200}): restore a backup") from error

    def keep(self, change: IdChange, claims: Claims, learned: Learned) -> None:
        """Make the compiler's inputs durable, those that changed; returns when they are."""
        news: dict[str, bytes | None] = {}
        if change:
            news |= self._noted(change)
        if claims is not self.claims and claims != self.claims:
            news[CLAIMS] = dump_claims(claims)
        if learned is not self.learned and learned != self.learned:
            news[LEARNED] = dump_learned(learned)
        if news:
            self._store.put_state(news)
        if change:
            with self._lock:
                self._news.append(change)
        self._entries = 0 if IDS in news else self._entries + bool(change)
        self.claims, self.learned = claims, learned

    def _noted(self, change: IdChange) -> dict[str, bytes | None]:
        """Return what to write: one more entry of the journal, or all of the id map once the journal is longer."""
        entry = change.to_json().encode()
        self._written += len(entry)
        if self._written <= self._limit:
            return {_entry(self._entries + 1): entry}
        return self._whole(applied(self.ids, [change]))

    def _whole(self, ids: IdMap) -> dict[str, bytes | None]:
        """Return the id map, in place of the journal."""
        whole = ids.to_json().encode()
        self._written, self._limit = 0, max(len(whole), MIN_JOURNAL)
        return {IDS: whole} | {_entry(number): None for number in range(1, self._entries + 1)}


def _entry(number: int) -> str:
    """Return the key of an entry of the id map's journal; they count from 1."""
    return f"{IDS}/{number}"

"""What the controller must not forget between two starts, kept in the store.

The generation id makes this start the newest master. The owner id marks what it made in OVSDB. The
id map, the claims and the learned addresses are inputs of the compiler: with them a restart makes
byte-equal tables, and changes nobody's claim.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from intent.compiler import IdMap
from intent.inventory import Claims, Learned, dump_claims, dump_learned, load_claims, load_learned

log = logging.getLogger("ringfence.memory")

GENERATION, OWNER, IDS, CLAIMS, LEARNED = "generation", "owner", "ids", "claims", "learned"
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
        self.ids = self._read(IDS, IdMap.from_json, IdMap())
        self.claims: Claims = self._read(CLAIMS, load_claims, {})
        self.learned: Learned = self._read(LEARNED, load_learned, {})
        store.put_state({GENERATION: str(self.generation).encode(), OWNER: self.owner.encode()})

    def _read(self, key: str, decode: Callable[[bytes], T], default: T) -> T:
        raw = self._store.state(key)
        if raw is None:
            return default
        try:
            return decode(raw)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Damaged(f"state {key!r} of the store cannot be read ({error!r:.200}): restore a backup") from error

    def keep(self, ids: IdMap, claims: Claims, learned: Learned) -> None:
        """Make the compiler's inputs durable, those that changed; returns when they are."""
        news: dict[str, bytes | None] = {}
        if ids != self.ids:
            news[IDS] = ids.to_json().encode()
        if claims != self.claims:
            news[CLAIMS] = dump_claims(claims)
        if learned != self.learned:
            news[LEARNED] = dump_learned(learned)
        if news:
            self._store.put_state(news)
        self.ids, self.claims, self.learned = ids, claims, learned

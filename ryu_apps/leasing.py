"""The book of leased addresses, kept in the store: `LeasePort`. One key of the state for each holder."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

from intent.api.plug_refused import PlugRefused
from intent.leasing import MAX_HOLDERS, Book, Holding, Settled, Wish, dump, load, returned, settle
from ryu_apps.memory import Damaged, StateStore

HOLDERS = "leases"
"""Key of the state: the names of the holders, as a JSON list; each has a key `leases/NAME`."""


class Leases:
    """What every holder has. Any thread may call; each answer is durable before it is given."""

    def __init__(
        self, store: StateStore, superseded: Callable[[], bool], clock: Callable[[], float] = time.time
    ) -> None:
        """Read the book. `superseded` says whether another controller has taken over.

        Raises:
            Damaged: the store holds something else.
        """
        self._store = store
        self._superseded = superseded
        self._clock = clock
        self._lock = threading.Lock()
        self._book: dict[str, Holding] = {}
        try:
            for name in json.loads(store.state(HOLDERS) or b"[]"):
                self._book[name] = load(json.loads(store.state(f"{HOLDERS}/{name}") or b""))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Damaged(
                f"state {HOLDERS!r} of the store cannot be read ({error!r:.200}): restore a backup"
            ) from error

    def book(self) -> Book:
        """Return what everybody has."""
        with self._lock:
            return dict(self._book)

    def settle(self, holder: str, wish: Wish) -> Settled:
        """Give a holder what it wishes, as far as it can be; durable on return.

        Raises:
            PlugRefused: another controller has taken over, or there are too many holders.
        """
        self._check()
        with self._lock:
            self._forget_empty(holder)
            if holder not in self._book and len(self._book) >= MAX_HOLDERS:
                raise PlugRefused(
                    f"there are {MAX_HOLDERS} holders",
                    "drop those of hosts that are gone: `ringfence leases drop NAME`",
                    passing=False,
                )
            settled = settle(self._book, holder, wish, self._clock())
            self._keep(holder, settled.holding)
        return settled

    def forget(self, holder: str) -> bool:
        """Take back all of a holder that is gone; true if it had anything.

        Raises:
            PlugRefused: another controller has taken over.
        """
        self._check()
        with self._lock:
            held = self._book.get(holder)
            if held is None or not held.blocks | held.claims:
                return False
            self._keep(holder, returned(held, self._clock()))
        return True

    def _check(self) -> None:
        if self._superseded():
            raise PlugRefused("another controller has taken over", "ask that one", passing=True)

    def _keep(self, holder: str, holding: Holding) -> None:
        """Write down one holding; memory follows the file."""
        if self._book.get(holder) == holding:
            return
        news: dict[str, bytes | None] = {f"{HOLDERS}/{holder}": json.dumps(dump(holding)).encode()}
        if holder not in self._book:
            news[HOLDERS] = json.dumps(sorted([*self._book, holder])).encode()
        self._store.put_state(news)
        self._book[holder] = holding

    def _forget_empty(self, but: str) -> None:
        """Forget holders that have nothing any more, when there is no room for another."""
        if len(self._book) < MAX_HOLDERS or but in self._book:
            return
        now = self._clock()
        empty = [
            name
            for name, held in self._book.items()
            if not held.blocks | held.claims and all(until <= now for until in held.resting.values())
        ]
        if empty:
            left = sorted(set(self._book) - set(empty))
            self._store.put_state({HOLDERS: json.dumps(left).encode(), **{f"{HOLDERS}/{name}": None for name in empty}})
            for name in empty:
                del self._book[name]

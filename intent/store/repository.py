"""The repository: current documents, revisions that are only ever added, and the controller's own state.

Documents are held in memory as they are in the file, so reading costs no SQL. Every write is one
transaction; the memory follows only after the commit. State is durable when the call returns, and so is every
revision before it: numbers that a revision led to are written before switches learn of it, and that one sync is
enough for both. Whoever acknowledges a revision calls `make_durable` first, which mostly finds nothing left to do.
"""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from intent.model import Intents
from intent.schema.changes import (
    NEVER,
    Applied,
    Change,
    ConflictError,
    Delete,
    Outcome,
    Put,
    Result,
    Revision,
    Stored,
    UnknownDocumentError,
    Wanted,
)
from intent.schema.checks import after_endpoints, after_policies, to_intents
from intent.schema.documents import Document, EndpointDoc, PolicyDoc
from intent.schema.dump import document_text
from intent.schema.holding import Holders, same_things
from intent.schema.loading import Raw
from intent.schema.problems import DocumentError, Problem
from intent.schema.reading import read_document
from intent.schema.room import Room
from intent.store.database import open_database, transaction, unusable
from intent.store.errors import StoreCorrupt
from intent.store.files import InstanceLock
from intent.store.zones import zone_problems

MAX_AUTHOR = 128
MAX_MESSAGE = 1024
MAX_KEY = 128
_DURABLE = "durable"
"""State: the newest revision that was made durable by itself; there to have something to write."""
Key = tuple[str, str]
"""Kind and name of a document."""


class Store:
    """An open store. One instance at a time holds a path, until `close` or the end of the process."""

    def __init__(self, path: Path) -> None:
        """Open or make the store at `path`.

        Raises:
            StoreLocked: another instance has it.
            StoreError: damaged, newer than this program, or not writable.
        """
        self._lock = InstanceLock(path.with_name(path.name + ".lock"))
        self._mutex = threading.RLock()
        self._durable = 0
        """Newest revision that is durable; the file's is not known to be, after a kill."""
        self._holders: Holders | None = None
        """None until somebody asks: reading all documents for it takes long where there are many."""
        try:
            self._database = open_database(path)
            self._load(path)
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, then release the lock."""
        self._database.close()
        self._lock.release()

    # -- reading ------------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        """Number of the newest revision; 0 for a new store."""
        return self._intents.revision

    def intents(self) -> Intents:
        """Return what the current documents mean."""
        return self._intents

    def documents(self, kind: str | None = None) -> list[Stored]:
        """Return the current documents of one kind, or all, sorted by kind and name."""
        return [stored for key, stored in sorted(self._documents.items()) if kind in (None, key[0])]

    def document(self, kind: str, name: str) -> Stored | None:
        """Return one current document."""
        return self._documents.get((kind, name))

    def revisions(self, *, before: int | None = None, limit: int = 50) -> list[Revision]:
        """Return up to `limit` revisions, newest first, older than `before` if that is given."""
        with self._mutex:
            newest = self.revision + 1 if before is None else min(before, self.revision + 1)
            rows = self._database.execute(
                "SELECT number, at, author, message FROM revisions WHERE number < ? ORDER BY number DESC LIMIT ?",
                (newest, limit),
            ).fetchall()
            return [self._revision(*row) for row in rows]

    def _revision(self, number: int, at: str, author: str, message: str) -> Revision:
        rows = self._database.execute(
            "SELECT kind, name, before, after FROM changes WHERE revision = ? ORDER BY kind, name", (number,)
        )
        changes = tuple(Change(*row) for row in rows)
        return Revision(number, datetime.fromisoformat(at), author, message, changes)

    # -- documents ----------------------------------------------------------------------------

    def apply(
        self,
        changes: Sequence[Wanted],
        *,
        author: str,
        at: datetime,
        message: str = "",
        expected_revision: int | None = None,
    ) -> Applied:
        """Put and delete documents: all of them as one revision, or none. What changes nothing makes no revision.

        It survives the end of this process; that of the machine only after `put_state` or `make_durable`.

        Args:
            changes: at most one a document.
            author: who asks, at most 128 characters.
            at: the instant, with a time zone.
            message: why, at most 1024 characters.
            expected_revision: refuse unless the store is at this revision.

        Raises:
            DocumentError: the documents as they would be have problems.
            ConflictError: the store or a document is not at the expected revision.
            UnknownDocumentError: a document to delete does not exist.
            StoreUnavailableError: it could not be written.
            ValueError: `at` without a zone, or author or message too long.
        """
        if at.tzinfo is None or len(author) > MAX_AUTHOR or len(message) > MAX_MESSAGE:
            raise ValueError("give `at` a time zone, and keep author and message short")
        with self._mutex:
            applied, changed, after = self._outcome(changes, expected_revision)
            if not changed:
                return applied
            intents = self._checked(changed, after)
            self._commit(Revision(applied.revision, at, author, message, self._diff(changed)))
            for change in changed:
                if isinstance(change, Put):
                    change.document.detach()
            self._follow(map(_key, changed), after)
            self._remember(after, dataclasses.replace(intents, revision=applied.revision))
            return dataclasses.replace(applied, committed=True)

    def preview(self, changes: Sequence[Wanted], *, expected_revision: int | None = None) -> Applied:
        """Say what `apply` would do, and change nothing; raises as `apply`."""
        with self._mutex:
            applied, changed, after = self._outcome(changes, expected_revision)
            if changed:
                self._checked(changed, after)
            return applied

    def _outcome(
        self, wanted: Sequence[Wanted], expected_revision: int | None
    ) -> tuple[Applied, list[Wanted], dict[Key, Stored]]:
        """Return the result, what of it is a change, and all documents as they would be."""
        self._check_expected(wanted, expected_revision)
        number = self.revision + 1
        results = tuple(self._result(change, number) for change in wanted)
        changed = [c for c, r in zip(wanted, results, strict=True) if r.outcome is not Outcome.UNCHANGED]
        revision = number if changed else self.revision
        return Applied(revision, results, committed=False), changed, self._after(changed, number)

    def _checked(self, changed: Sequence[Wanted], after: Mapping[Key, Stored]) -> Intents:
        """Return what the documents mean, as they would be; raises DocumentError."""
        touched = [_key(change) for change in changed]
        put = [after[key].document for key in touched if key in after]
        problems = list(zone_problems(put))  # those of other documents were asked before
        intents = None if problems else self._after_few(touched, put)
        if intents is None:
            intents = to_intents(stored.document for stored in after.values())
        problems += self._room.problems(intents, put)
        if problems:
            raise DocumentError(problems)
        return intents

    def _after_few(self, touched: Sequence[Key], put: Sequence[Document]) -> Intents | None:
        """Return what the documents mean where only policies or only endpoints changed, and are right; else None."""
        kinds, before = {kind for kind, _ in touched}, self._intents
        names = {document.name for document in put}
        gone = [name for _, name in touched if name not in names]
        if kinds == {"Policy"}:
            return after_policies(before, [doc for doc in put if isinstance(doc, PolicyDoc)], gone)
        if kinds != {"Endpoint"} or not self._fit(put, [("Endpoint", name) for name in gone]):
            return None
        around = [
            self._documents[kind, name].document
            for kind, named in (("Network", before.networks), ("Router", before.routers), ("Uplink", before.uplinks))
            for name in named
        ]
        return after_endpoints(before, [doc for doc in put if isinstance(doc, EndpointDoc)], gone, around)

    def _fit(self, put: Iterable[Document], gone: Sequence[Key]) -> bool:
        """Whether nothing would be shared that only one may have; what keeps what it has takes nothing from others."""
        others = [doc for doc in put if not same_things(self._document(doc.kind, doc.name), doc)]
        return not others or self._holding().fit(others, gone)

    def _document(self, kind: str, name: str) -> Document | None:
        stored = self._documents.get((kind, name))
        return None if stored is None else stored.document

    def _holding(self) -> Holders:
        if self._holders is None:
            self._holders = Holders(stored.document for stored in self._documents.values())
        return self._holders

    def _check_expected(self, wanted: Sequence[Wanted], expected_revision: int | None) -> None:
        if expected_revision not in (None, self.revision):
            message = f"the store is at revision {self.revision}, not {expected_revision}"
            raise ConflictError("revision", message, "look at what changed, then try again")
        _refuse_twice(wanted)
        for change in wanted:
            if change.expected is None:
                continue
            kind, name = _key(change)
            stored = self._documents.get((kind, name))
            actual = NEVER if stored is None else stored.revision
            if change.expected != actual:
                is_at = "does not exist" if stored is None else f"is at revision {actual}"
                message = f"it {is_at}, not at {change.expected}" if change.expected else "it exists already"
                raise ConflictError(f"{kind}/{name}", message, "read it again, then try again")

    def _result(self, change: Wanted, number: int) -> Result:
        kind, name = _key(change)
        stored = self._documents.get((kind, name))
        if isinstance(change, Delete):
            if stored is None:
                raise UnknownDocumentError(f"{kind}/{name}", "there is no such document", "look at what there is")
            return Result(kind, name, Outcome.DELETED, number)
        if stored is None:
            return Result(kind, name, Outcome.CREATED, number)
        if document_text(stored.document) == document_text(change.document):
            return Result(kind, name, Outcome.UNCHANGED, stored.revision)
        return Result(kind, name, Outcome.CHANGED, number)

    def _after(self, changed: Iterable[Wanted], number: int) -> dict[Key, Stored]:
        after = dict(self._documents)
        for change in changed:
            if isinstance(change, Put):
                after[_key(change)] = Stored(change.document, number)
            else:
                del after[_key(change)]
        return after

    def _diff(self, changed: Iterable[Wanted]) -> tuple[Change, ...]:
        def diff(change: Wanted) -> Change:
            before = self._documents.get(_key(change))
            after = document_text(change.document) if isinstance(change, Put) else None
            return Change(*_key(change), None if before is None else document_text(before.document), after)

        return tuple(sorted(map(diff, changed), key=lambda c: (c.kind, c.name)))

    def _commit(self, revision: Revision) -> None:
        number, at = revision.number, revision.at.astimezone(UTC).isoformat()
        with transaction(self._database, synced=False):
            row = (number, at, revision.author, revision.message)
            self._database.execute("INSERT INTO revisions VALUES (?, ?, ?, ?)", row)
            told, many = revision.changes, self._database.executemany
            rows = ((number, change.kind, change.name, change.before, change.after) for change in told)
            many("INSERT INTO changes VALUES (?, ?, ?, ?, ?)", rows)
            gone = ((change.kind, change.name) for change in told if change.after is None)
            many("DELETE FROM documents WHERE kind = ? AND name = ?", gone)
            put = ((change.kind, change.name, number, change.after) for change in told if change.after is not None)
            many("INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?)", put)

    def make_durable(self) -> None:
        """Return when every revision is durable.

        Raises:
            StoreUnavailableError: it could not be written.
        """
        with self._mutex:
            if self._durable < self.revision:
                self.put_state({_DURABLE: str(self.revision).encode()})

    # -- controller state ---------------------------------------------------------------------

    def state(self, key: str) -> bytes | None:
        """Return what the controller put under a key."""
        with self._mutex:
            row = self._database.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def put_state(self, values: Mapping[str, bytes | None]) -> None:
        """Put several keys in one durable transaction, which makes all revisions before it durable; None removes a key.

        Raises:
            StoreUnavailableError: it could not be written; nothing changed.
            ValueError: a key is empty or longer than 128 characters.
        """
        if not all(0 < len(key) <= MAX_KEY for key in values):
            raise ValueError(f"a state key has 1 to {MAX_KEY} characters")
        with self._mutex, transaction(self._database):
            revision = self.revision
            for key, value in values.items():
                if value is None:
                    self._database.execute("DELETE FROM state WHERE key = ?", (key,))
                else:
                    self._database.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, value))
        self._durable = max(self._durable, revision)

    # -- memory -------------------------------------------------------------------------------

    def _load(self, path: Path) -> None:
        """Read every document as strictly as when it came: a file somebody edited is no way in."""
        try:
            number = self._database.execute("SELECT coalesce(max(number), 0) FROM revisions").fetchone()[0]
            rows = self._database.execute("SELECT kind, name, revision, body FROM documents").fetchall()
        except sqlite3.Error as error:
            self._database.close()
            raise unusable(path, error) from error
        try:
            documents = {(kind, name): _stored(kind, name, revision, body) for kind, name, revision, body in rows}
            intents = to_intents(stored.document for stored in documents.values())
        except ValueError as error:
            self._database.close()
            raise StoreCorrupt(f"{path} holds documents this version refuses: {error}") from error
        self._room = Room(intents)
        self._remember(documents, dataclasses.replace(intents, revision=number))

    def _follow(self, changed: Iterable[Key], after: Mapping[Key, Stored]) -> None:
        """Keep up who has what; all that is given up goes before it is taken."""
        if self._holders is not None:
            pairs = [(self._document(*key), after[key].document if key in after else None) for key in changed]
            pairs = [(was, now) for was, now in pairs if now is None or not same_things(was, now)]
            for was, _ in pairs:
                self._holders.change(was, None)
            for _, now in pairs:
                self._holders.change(None, now)

    def _remember(self, documents: dict[Key, Stored], intents: Intents) -> None:
        self._documents, self._intents = documents, intents
        self._room.follow(intents)


def _stored(kind: str, name: str, revision: int, body: str) -> Stored:
    document = read_document(Raw(json.loads(body), "store", 0))
    if (document.kind, document.name) != (kind, name):
        raise ValueError(f"{kind}/{name} holds {document.kind}/{document.name}")
    return Stored(document, revision)


def _key(change: Wanted) -> Key:
    if isinstance(change, Delete):
        return change.kind, change.name
    document: Document = change.document
    return document.kind, document.name


def _refuse_twice(wanted: Iterable[Wanted]) -> None:
    seen: set[Key] = set()
    for change in wanted:
        key = _key(change)
        if key in seen:
            message, remedy = f"{'/'.join(key)} occurs twice in one change-set", "keep one of them"
            problem = Problem(f"{'/'.join(key)}.name", message, remedy)
            if isinstance(change, Put):
                problem = change.document.problem(("name",), message, remedy)
            raise DocumentError([problem])
        seen.add(key)

"""The words store and API share: what is put and deleted, and what became of it."""

from __future__ import annotations

import dataclasses
import enum
from datetime import datetime
from typing import TypeAlias

from intent.schema.documents import Document

NEVER = 0
"""As an expected document revision: the document must not exist yet."""


@dataclasses.dataclass(frozen=True, slots=True)
class Put:
    """Create or replace a document."""

    document: Document
    expected: int | None = None
    """The revision the document must have now, `NEVER` for none yet; None does not ask."""


@dataclasses.dataclass(frozen=True, slots=True)
class Delete:
    """Remove a document that exists."""

    kind: str
    name: str
    expected: int | None = None


Wanted: TypeAlias = Put | Delete


class Outcome(enum.StrEnum):
    """What a change did to a document."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    DELETED = "deleted"


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What became of one document."""

    kind: str
    name: str
    outcome: Outcome
    revision: int
    """The revision that wrote the document last; of a deleted one, the revision that deleted it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Applied:
    """What an apply did. Where nothing changed, `revision` is the one that was current already."""

    revision: int
    results: tuple[Result, ...]
    committed: bool
    """Whether there is a new revision (a preview says no, and the number it would have)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Stored:
    """A current document and the revision that wrote it."""

    document: Document
    revision: int


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """One document in the diff of a revision, as canonical JSON text; None where there was or is none."""

    kind: str
    name: str
    before: str | None
    after: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Revision:
    """One committed change-set."""

    number: int
    at: datetime
    author: str
    message: str
    changes: tuple[Change, ...]


class ChangeError(Exception):
    """A change-set was refused as a whole, and nothing changed."""

    def __init__(self, path: str, message: str, remedy: str) -> None:
        super().__init__(f"{path}: {message} ({remedy})")
        self.path, self.message, self.remedy = path, message, remedy


class UnknownDocumentError(ChangeError):
    """A document to delete does not exist."""


class ConflictError(ChangeError):
    """A document, or the store, is at another revision than expected."""


class StoreUnavailableError(Exception):
    """The store cannot be read or written now (disk full, I/O error); nothing was acknowledged."""

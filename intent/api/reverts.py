"""A revision taken back over HTTP, as a new revision."""

from __future__ import annotations

from collections.abc import Iterator

import falcon

from intent.api.errors import NOT_FOUND, RequestError
from intent.api.ports import StorePort
from intent.api.writes import Writer
from intent.schema.changes import NEVER, Change, ConflictError, Delete, Put, Revision, Wanted
from intent.schema.documents import Document
from intent.schema.dump import document_text
from intent.schema.problems import echo
from intent.schema.reading import parse_single
from topology.breathing import Breathe, paced

_MAX_DIGITS = 15
_BREATH = 20
"""Documents between two breaths."""


class Revert:
    """`/v1/revisions/{number}/revert`."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def on_post(self, req: falcon.Request, resp: falcon.Response, number: str) -> None:
        """Put every document of the revision back to what it was before, as one revision."""
        store = self._writer.ports.store
        revision = _found(store, number)
        self._writer.write(req, resp, list(_undone(store, revision, self._writer.ports.waiter.breathe)))


def _found(store: StorePort, number: str) -> Revision:
    given = int(number) if number.isascii() and number.isdigit() and len(number) <= _MAX_DIGITS else 0
    found = store.revisions(before=given + 1, limit=1) if given else []
    if not found or found[0].number != given:
        remedy = "see `ringfence revisions`, or GET /v1/revisions"
        raise RequestError(NOT_FOUND, "revisions", f"there is no revision {echo(number)}", remedy)
    return found[0]


def _undone(store: StorePort, revision: Revision, breathe: Breathe) -> Iterator[Wanted]:
    """Yield what takes a revision back; a document that is as it was before needs nothing. Others run now and then.

    Raises:
        ConflictError: a document was changed again since: nobody can know what is wanted of it now.
    """
    for change in paced(revision.changes, breathe, _BREATH):
        stored = store.document(change.kind, change.name)
        now = None if stored is None else document_text(stored.document)
        before, after = (_read(change, text) for text in (change.before, change.after))
        if now == (None if before is None else document_text(before)):
            continue
        if now != (None if after is None else document_text(after)):
            message = f"it was changed again after revision {revision.number}"
            remedy = "revert the later revision first, or apply what it should be"
            raise ConflictError(f"{change.kind}/{change.name}", message, remedy)
        at = NEVER if stored is None else stored.revision  # who changes it before this is applied is not passed over
        yield Delete(change.kind, change.name, at) if before is None else Put(before, at)


def _read(change: Change, text: str | None) -> Document | None:
    return None if text is None else parse_single(text, (change.kind, change.name), source="revision")

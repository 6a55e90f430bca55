"""Documents over HTTP: list, read, put, delete, apply, and the revisions they leave."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import falcon

from intent.api import requests
from intent.api.answers import (
    Answer,
    AppliedAnswer,
    ChangeAnswer,
    DocumentAnswer,
    DocumentsAnswer,
    IntentStatusAnswer,
    ResultAnswer,
    RevisionAnswer,
    RevisionsAnswer,
    WarningAnswer,
)
from intent.api.errors import BAD_REQUEST, NOT_FOUND, RequestError
from intent.api.ports import Limits, Ports
from intent.api.progress import Progress
from intent.api.scene import look
from intent.api.standing import Standings, warning
from intent.schema.changes import NEVER, Applied, Delete, Outcome, Put, Revision, Stored, Wanted
from intent.schema.dump import dump_document
from intent.schema.problems import MAX_PROBLEMS, Problem, did_you_mean, echo
from intent.schema.reading import parse_documents, parse_single
from topology.breathing import paced

_DEFAULT_WAIT_S = 30.0
_DEFAULT_PAGE = 50
_MAX_REVISION = 2**53 - 1
_SOURCE = "body"
_BREATH = 20
"""Documents between two breaths."""


def send(resp: falcon.Response, answer: Answer) -> None:
    """Answer with a model's JSON."""
    resp.content_type = falcon.MEDIA_JSON
    resp.text = answer.model_dump_json(by_alias=True)


class Writer:
    """What every operation that changes documents does, whatever documents it is about."""

    def __init__(self, ports: Ports, limits: Limits) -> None:
        self.ports, self.limits = ports, limits

    def write(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        changes: Sequence[Wanted],
        warnings: Sequence[Problem] = (),
    ) -> Applied:
        """Apply or preview changes as the query says, wait if it says so, and answer; `warnings` go with it."""
        dry_run = requests.text(req, "dry_run") == "1"
        wait_s = self._wait_s(req, dry_run=dry_run)
        expected = requests.number(req, "expected_revision", _MAX_REVISION)
        store, at = self.ports.store, self.ports.clock.now()
        found = [*warnings, *_warnings(changes, at)][:MAX_PROBLEMS]  # now: a stored document forgets where it was read
        diff: list[ChangeAnswer] = []
        if dry_run:
            applied = store.preview(changes, expected_revision=expected)
            diff = list(self._diff(changes, applied))
        else:
            author, message = requests.text(req, "author", "api"), requests.text(req, "message")
            applied = store.apply(changes, author=author, at=at, message=message, expected_revision=expected)
            try:
                if wait_s is not None:
                    self.ports.waiter.wait(applied.revision, wait_s)
            finally:  # mostly so already, with the numbers that the compiler gave
                store.make_durable()
        send(resp, self._answer(applied, found, diff, dry_run=dry_run))
        return applied

    def _wait_s(self, req: falcon.Request, *, dry_run: bool) -> float | None:
        waits = requests.text(req, "wait") == "realized"
        if waits and dry_run:
            raise RequestError(BAD_REQUEST, "query.wait", "a dry run is never realized", "leave out one of the two")
        if not waits and "timeout" in req.params:
            raise RequestError(BAD_REQUEST, "query.timeout", "it goes with `wait`", "add `wait=realized`")
        return requests.seconds(req, "timeout", _DEFAULT_WAIT_S, self.limits.wait_s) if waits else None

    def _diff(self, changes: Sequence[Wanted], applied: Applied) -> Iterator[ChangeAnswer]:
        """Yield what a preview would change of each document."""
        pairs = zip(changes, applied.results, strict=True)
        for change, result in paced(pairs, self.ports.waiter.breathe, _BREATH):
            if result.outcome is not Outcome.UNCHANGED:
                stored = self.ports.store.document(result.kind, result.name)
                before = None if stored is None else dump_document(stored.document)
                after = dump_document(change.document) if isinstance(change, Put) else None
                yield ChangeAnswer(kind=result.kind, name=result.name, before=before, after=after)

    def _answer(
        self, applied: Applied, warnings: Sequence[Problem], diff: list[ChangeAnswer], *, dry_run: bool
    ) -> AppliedAnswer:
        documents = [
            ResultAnswer(kind=r.kind, name=r.name, outcome=r.outcome.value, revision=r.revision)
            for r in applied.results
        ]
        keys = [(result.kind, result.name) for result in applied.results]
        return AppliedAnswer(
            revision=applied.revision,
            committed=applied.committed,
            dry_run=dry_run,
            documents=documents,
            realized=None if dry_run else Progress(self.ports.status).of(applied.revision, keys),
            warnings=[WarningAnswer(path=w.path, message=w.message, remedy=w.remedy, line=w.line) for w in warnings],
            changes=diff,
        )


def _warnings(changes: Sequence[Wanted], now: datetime) -> Iterator[Problem]:
    found = (warning(change.document, now) for change in changes if isinstance(change, Put))
    return (problem for problem in found if problem is not None)


class Apply:
    """`/v1/apply`."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Put every document of the body, as one revision."""
        most, breathe = self._writer.limits.body_bytes, self._writer.ports.waiter.breathe
        documents = parse_documents(requests.body(req, most), source=_SOURCE, max_bytes=most, breathe=breathe)
        if not documents:
            raise RequestError(BAD_REQUEST, "body", "there is no document in the body", "send at least one")
        self._writer.write(req, resp, [Put(document) for document in documents])


class Collection:
    """`/v1/<plural>`: the documents of one kind."""

    def __init__(self, writer: Writer, kind: str) -> None:
        self._store, self._kind = writer.ports.store, kind

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """List them."""
        items = [_document(stored) for stored in self._store.documents(self._kind)]
        send(resp, DocumentsAnswer(revision=self._store.revision, items=items))


class Item:
    """`/v1/<plural>/{name}`: one document."""

    def __init__(self, writer: Writer, kind: str) -> None:
        self._writer, self._kind = writer, kind

    def on_get(self, _req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Read it, with its revision as ETag."""
        stored = find(self._writer.ports, self._kind, name)
        resp.etag = str(stored.revision)
        send(resp, _document(stored))

    def on_put(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Create or replace it."""
        expected = self._expected(req, name)
        most, breathe = self._writer.limits.body_bytes, self._writer.ports.waiter.breathe
        data, key = requests.body(req, most), (self._kind, name)
        document = parse_single(data, key, source=_SOURCE, max_bytes=most, breathe=breathe)
        result = self._writer.write(req, resp, [Put(document, expected)]).results[0]
        resp.etag = str(result.revision)
        if result.outcome is Outcome.CREATED and requests.text(req, "dry_run") != "1":
            resp.status = falcon.HTTP_201

    def on_delete(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Delete it."""
        find(self._writer.ports, self._kind, name)
        self._writer.write(req, resp, [Delete(self._kind, name, self._expected(req, name))])

    def on_get_status(self, _req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Say how far the switches are with it."""
        ports = self._writer.ports
        stored = find(ports, self._kind, name)
        send(resp, intent_status(stored, Progress(ports.status), Standings(look(ports))))

    def _expected(self, req: falcon.Request, name: str) -> int | None:
        stored = self._writer.ports.store.document(self._kind, name)
        return requests.expected_revision(req, NEVER if stored is None else stored.revision)


class Revisions:
    """`/v1/revisions`."""

    def __init__(self, ports: Ports, limits: Limits) -> None:
        self._store, self._limits = ports.store, limits

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List a page of them, newest first."""
        given = requests.number(req, "limit", self._limits.revisions)
        limit = min(_DEFAULT_PAGE, self._limits.revisions) if given is None else given
        before = requests.number(req, "before", _MAX_REVISION)
        found = self._store.revisions(before=before, limit=limit)
        oldest = found[-1].number if found else 0
        send(resp, RevisionsAnswer(items=[_revision(r) for r in found], before=oldest if oldest > 1 else None))


def find(ports: Ports, kind: str, name: str) -> Stored:
    """Return a current document.

    Raises:
        RequestError: 404.
    """
    stored = ports.store.document(kind, name)
    if stored is None:
        known = [other.document.name for other in ports.store.documents(kind)]
        remedy = did_you_mean(name, known, "list the kind to see what there is")
        raise RequestError(NOT_FOUND, f"{kind}/{name[:253]}", f"there is no {kind} {echo(name)}", remedy)
    return stored


def intent_status(stored: Stored, progress: Progress, standings: Standings) -> IntentStatusAnswer:
    """Return how far the switches are with one document, and what it is worth."""
    kind, name = stored.document.kind, stored.document.name
    realized, standing = progress.of(stored.revision, [(kind, name)]), standings.of(stored.document)
    return IntentStatusAnswer(
        kind=kind, name=name, revision=stored.revision, **standing._asdict(), **realized.model_dump()
    )


def _document(stored: Stored) -> DocumentAnswer:
    return DocumentAnswer(revision=stored.revision, document=dump_document(stored.document))


def _revision(revision: Revision) -> RevisionAnswer:
    changes = [
        ChangeAnswer(kind=c.kind, name=c.name, before=_values(c.before), after=_values(c.after))
        for c in revision.changes
    ]
    at = revision.at.isoformat().replace("+00:00", "Z")
    return RevisionAnswer(
        number=revision.number, at=at, author=revision.author, message=revision.message, changes=changes
    )


def _values(text: str | None) -> dict[str, Any] | None:
    values: dict[str, Any] | None = None if text is None else json.loads(text)
    return values

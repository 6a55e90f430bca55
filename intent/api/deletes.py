"""Many documents deleted over HTTP as one revision."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import falcon

from intent.api import requests
from intent.api.errors import BAD_REQUEST, MissingError, RequestError
from intent.api.ports import StorePort
from intent.api.writes import Writer
from intent.schema.changes import Delete
from intent.schema.loading import Raw
from intent.schema.problems import MAX_PROBLEMS, Problem, did_you_mean, echo
from intent.schema.reading import Key, parse_names


class DeleteMany:
    """`/v1/delete`."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Delete every document that the body names, as one revision."""
        most, breathe = self._writer.limits.body_bytes, self._writer.ports.waiter.breathe
        named = parse_names(requests.body(req, most), source="body", max_bytes=most, breathe=breathe)
        if not named:
            raise RequestError(BAD_REQUEST, "body", "there is no document in the body", "name at least one")
        store = self._writer.ports.store
        if requests.text(req, "missing") != "ignore":
            problems = list(itertools.islice(_missing(store, named), MAX_PROBLEMS))
            if problems:
                raise MissingError(problems)
        self._writer.write(req, resp, [Delete(*key) for key in named if store.document(*key) is not None])


def _missing(store: StorePort, named: Mapping[Key, Raw]) -> Iterator[Problem]:
    for (kind, name), raw in named.items():
        if store.document(kind, name) is None:
            known = [other.document.name for other in store.documents(kind)]
            remedy = did_you_mean(
                name, known, "leave it out, or pass over what is missing: `missing=ignore`, `--ignore-missing`"
            )
            yield Problem(f"{kind}/{name}", f"there is no {kind} {echo(name)}", remedy, raw.source, raw.line_of(()))

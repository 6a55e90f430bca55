"""Objects of other systems over HTTP, as the documents that mean the same."""

from __future__ import annotations

import falcon

from intent.api import requests
from intent.api.errors import BAD_REQUEST, RequestError
from intent.api.writes import Writer
from intent.kubernetes import DEFAULT_NETWORK, read_objects, translate
from intent.kubernetes.moves import moves
from intent.schema.changes import Delete, Put, Wanted
from intent.schema.documents import Document


class KubernetesImport:
    """`/v1/import/kubernetes`."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Put the documents that the objects of the body mean, as one revision."""
        ports, most = self._writer.ports, self._writer.limits.body_bytes
        text = requests.body(req, most)
        objects = read_objects(text, source="body", max_bytes=most, breathe=ports.waiter.breathe)
        if not objects:
            raise RequestError(BAD_REQUEST, "body", "there is no object in the body", "send at least one")
        network = requests.text(req, "network", DEFAULT_NETWORK)
        revision = ports.store.revision
        current = self._current()
        translation = translate(objects, current, network=network, breathe=ports.waiter.breathe)
        if ports.store.revision != revision:  # somebody wrote meanwhile: once more, and without a pause
            current = self._current()
            translation = translate(objects, current, network=network)
        changes: list[Wanted] = [Put(document) for document in translation.puts]
        changes += [Delete(kind, name) for kind, name in translation.deletes]
        self._writer.write(req, resp, changes, list(moves(translation.puts, current)))

    def _current(self) -> list[Document]:
        return [stored.document for stored in self._writer.ports.store.documents()]

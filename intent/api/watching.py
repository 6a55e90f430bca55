"""The topology, and the stream of events (server-sent events: HTML standard, section 9.2)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import falcon

from intent.api import requests
from intent.api.errors import BAD_REQUEST, UNAVAILABLE, RequestError
from intent.api.ports import Ports, ReaderPort, TooManyReaders
from intent.api.seen import EventAnswer, TopologyAnswer
from intent.api.writes import send
from topology.map import Map
from topology.news import Entry
from topology.paths import LinkEnd

HEARTBEAT_S = 10.0
"""A stream says something at least so often: who hears nothing for longer should connect anew."""
RETRY_MS = 2000
"""How long a browser waits before it connects anew."""
EVENT_STREAM = "text/event-stream"
_ID = re.compile(r"[0-9a-f]{1,16}-[0-9]{1,15}|oldest")


class Topology:
    """`/v1/topology`."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with everything that exists."""
        event, found = self._ports.topology.look()
        send(resp, TopologyAnswer.model_validate({"event": event, **_parts(found)}))


def _parts(found: Map) -> dict[str, list[dict[str, Any]]]:
    fields = (field.name for field in dataclasses.fields(Map))
    parts: dict[str, Mapping[object, Any]] = {name: getattr(found, name) for name in fields}
    return {name: [_plain(node) for _, node in sorted(part.items())] for name, part in parts.items()}


def _plain(node: object) -> dict[str, Any]:
    """Return a node's fields as the answer has them."""
    return {field: _value(field, getattr(node, field)) for field in type(node).__dataclass_fields__ if field != "uid"}  # type: ignore[attr-defined] # every node is a dataclass


def _value(field: str, value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, LinkEnd):
        return _plain(value)
    if field == "dpid" and isinstance(value, int):
        return f"{value:016x}"
    if isinstance(value, Mapping):
        return dict(sorted(value.items()))
    return list(value) if isinstance(value, tuple) else value


class Events:
    """`/v1/events`."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with what happens, as it happens, until the client goes."""
        resumed = req.get_header("Last-Event-ID")
        after = requests.text(req, "after") if resumed is None else resumed.strip()
        if after and not _ID.fullmatch(after):
            where = "query.after" if resumed is None else "header.Last-Event-ID"
            raise RequestError(BAD_REQUEST, where, "it is no id of an event", "give the id of one as it was sent")
        try:
            begin, reader = self._ports.topology.follow(after)
        except TooManyReaders as error:
            remedy = "close other readers, or try again later"
            raise RequestError(UNAVAILABLE, "", "too many clients follow the events", remedy) from error
        resp.content_type = EVENT_STREAM
        resp.cache_control = ("no-store",)
        resp.set_header("X-Accel-Buffering", "no")  # a proxy must not wait for more
        now = self._ports.clock.now()
        resp.stream = Stream(reader, begin, now) if reader else (_missed(begin, now),)


class Stream:
    """The body of an endless answer; closed by the server when the client is gone."""

    def __init__(self, reader: ReaderPort, begin: str, now: datetime) -> None:
        self._reader, self._begin, self._now = reader, begin, now

    def __iter__(self) -> Iterator[bytes]:
        """Yield whole events, and a comment when there are none."""
        yield f"retry: {RETRY_MS}\nid: {self._begin}\n\n".encode()
        while (found := self._reader.next(HEARTBEAT_S)) is not None:
            yield b"".join(self._written(found)) or b":\n\n"
        yield _event("", self._now, "dropped", "", {})

    @staticmethod
    def _written(found: Sequence[tuple[str, Entry]]) -> Iterator[bytes]:
        for mark, entry in found:
            yield _event(mark, entry.at, entry.news.kind, entry.news.subject, entry.news.details)

    def close(self) -> None:
        """Stop following."""
        self._reader.close()


def _missed(begin: str, now: datetime) -> bytes:
    """Return the one event for who was away for too long; with its id the client comes again."""
    return _event(begin, now, "reset", "", {})


def _event(mark: str, at: datetime, kind: str, subject: str, details: Mapping[str, str | int]) -> bytes:
    """Write one event; JSON has no raw line breaks, so it is one line of data."""
    body = EventAnswer(id=mark, at=at.isoformat(), kind=kind, subject=subject, details=dict(details))
    head = f"id: {mark}\n" if mark else ""
    return f"{head}event: {kind}\ndata: {body.model_dump_json(by_alias=True)}\n\n".encode()

"""Remembers since when things are as they are, over restarts of the controller."""

from __future__ import annotations

import logging
import time

from intent.schema.changes import StoreUnavailableError
from ryu_apps.logs import Limited
from ryu_apps.memory import Memory
from topology import since
from topology.map import Map, Past

log = logging.getLogger("ringfence.topology")

KEEP_S = 10.0
"""A controller that is killed forgets no more of what changed."""
SHARE = 100
"""Writing takes at most this part of the time."""
START_S = 60.0
"""What comes back so soon after the start is as it was; after that it is news."""


class Annals:
    """For one thread at a time, but for `keep` at the end."""

    def __init__(self, memory: Memory) -> None:
        """Read what is kept; what cannot be read is let go, for nothing depends on it."""
        self._memory = memory
        self._past = _read(memory.since)
        self._ends_at = time.monotonic() + START_S
        self._kept_at, self._pause_s = time.monotonic(), KEEP_S
        self._kept: Map | None = None
        self._limited = Limited(log)

    @property
    def past(self) -> Past:
        """What was before the start and has not come back yet; nothing once that is long ago."""
        if self._past and time.monotonic() > self._ends_at:
            self._past = {}
        return self._past

    def note(self, found: Map) -> None:
        """Take the newest map, and write it down if the last time is long ago."""
        self._past = since.without(self.past, found) if self.past else self._past
        if time.monotonic() - self._kept_at >= self._pause_s:
            self.keep(found)

    def keep(self, found: Map) -> None:
        """Write a map down, unless it is that which was written last."""
        if found is self._kept:
            return
        began_at = time.monotonic()
        try:
            self._memory.keep_since(since.dump(found, self.past, lambda: time.sleep(0)))
        except StoreUnavailableError as error:
            self._limited.warning("keep", "since when things are as they are is not durable: %s", error)
        self._kept, self._kept_at = found, time.monotonic()
        self._pause_s = max(KEEP_S, SHARE * (self._kept_at - began_at))


def _read(raw: bytes | None) -> Past:
    try:
        return since.load(raw) if raw else {}
    except (ValueError, TypeError) as error:
        log.warning("since when things are as they are cannot be read (%r): they are dated anew", error)
        return {}

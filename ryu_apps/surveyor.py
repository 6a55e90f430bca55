"""Keeps the topology up to date, writes down what happens, and lets clients follow: `TopologyPort`.

Level-triggered: one thread compares what is with what it saw before, at most a few times a second, so that
no storm of events costs more than that. A client reads from the one bounded journal at its own pace; who falls
further behind than the journal reaches is let go, and nobody ever waits for it.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from intent.api.ports import TooManyReaders
from ryu_apps.annals import Annals
from ryu_apps.planner import Planner
from ryu_apps.reconciler import Reconciler
from topology.breathing import Breathe, go_on
from topology.map import Map, dated
from topology.model import Inventory, Report
from topology.news import Entry, Journal, News, differences, report_news
from topology.paths import LinkEnd
from topology.site import Site
from topology.survey import Present, survey

KEPT = 8192
"""Events that can be read again; about 4 MB."""
MAX_READERS = 64
BATCH = 256
"""Events that a reader takes at a time."""
POLL_S = 1.0
"""Longest time after which somebody looks, even if nobody said that something changed."""
PAUSE_S = 0.05
"""Shortest time between two surveys, and how long nothing must have changed before one."""
REST_S = 0.5
"""Longest wait for that: a change does not wait for the picture of the one before, the picture waits for both."""
SHARE = 5
"""After each piece of a survey others get at least so many times the time that it took."""
MAX_APPLIED = 256
"""Most revisions that are told one by one when many were made at once."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sight:
    """Everything a survey is made from."""

    site: Site
    inventory: Inventory
    connected: frozenset[int]
    links: Mapping[tuple[LinkEnd, LinkEnd], bool]
    networks: frozenset[str]
    revision: int
    realized: int
    """Newest revision that every switch confirmed; -1 for none."""
    reports: Sequence[Report]


class Surveyor:
    """One thread that looks. Its other methods may be called by any thread."""

    def __init__(self, planner: Planner, reconciler: Reconciler, revision: Callable[[], int]) -> None:
        """Survey what `planner` and `reconciler` know; `revision` tells the newest of the store."""
        self._planner = planner
        self._reconciler = reconciler
        self._revision = revision
        self.links: Callable[[], Mapping[tuple[LinkEnd, LinkEnd], bool]] = dict
        """Links between switches, and whether each is up; the same object as long as nothing changed."""
        self.reports: Callable[[], Sequence[Report]] = tuple
        """What else an operator should know; likewise."""
        self.annals: Annals | None = None
        """Where it is kept since when things are as they are."""
        self._changed = threading.Condition()
        self._journal = Journal(f"{reconciler.generation:x}", KEPT)
        self._map = Map()
        self._sight: Sight | None = None
        self._realized = -1
        """Newest revision that was told to be realized: a switch that connects anew makes it no news."""
        self._readers = 0
        self._began = 0.0
        """When others had their share of the time last."""
        self._patient_until = 0.0
        """Until then a look that has begun waits for what is under way."""
        self.stopped = False

    # -- the thread ----------------------------------------------------------------------------

    def run(self) -> None:
        """Look until stopped."""
        while not self.stopped:
            self._began = time.monotonic()
            self._patient_until = self._began + REST_S
            self.look_now(self._breathe)
            if self.annals:
                self.annals.note(self._map)
            self._breathe(PAUSE_S)
            if self._reconciler.wait(lambda: self.stopped or self._differs(self._look()), POLL_S):
                self._let_rest()

    def _breathe(self, least_s: float = 0.0) -> None:
        """Let others have their share of the time: what is told here is for eyes, and they keep switches."""
        time.sleep(max(least_s, SHARE * (time.monotonic() - self._began)))
        while not self.stopped and time.monotonic() < self._patient_until and _is_under_way(self._look()):
            time.sleep(PAUSE_S)
        self._began = time.monotonic()

    def _let_rest(self) -> None:
        """Wait until nothing changes for a while, and switches hold what they should."""
        give_up_at, sight = time.monotonic() + REST_S, self._look()
        while not self.stopped and time.monotonic() < give_up_at:
            time.sleep(PAUSE_S)
            before, sight = sight, self._look()
            if _same(before, sight) and not _is_under_way(sight):
                return

    def stop(self) -> None:
        """End the thread soon, and every reader."""
        self.stopped = True
        with self._changed:
            self._changed.notify_all()
        self._reconciler.poke()
        if self.annals:
            self.annals.keep(self._map)

    def look_now(self, breathe: Breathe = go_on) -> None:
        """Compare what is with what was, and write down what happened since; `breathe` is as for `survey`."""
        sight, before = self._look(), self._sight
        if not self._differs(sight):
            return
        now = datetime.now(UTC)
        found = self._map
        if before is None or not _same_things(before, sight):
            present = Present(sight.connected, sight.links, sight.networks)
            seen = survey(sight.site, sight.inventory, present, breathe)
            found = dated(found, seen, now, self.annals.past if self.annals else None, breathe)
        with self._changed:
            happened = [*differences(self._map, found), *_told(before, sight)]
            if sight.realized > self._realized:
                happened += [News("revision.realized", str(sight.realized))] if before else []
                self._realized = sight.realized
            self._map, self._sight = found, sight
            if self._journal.append(happened, now):
                self._changed.notify_all()

    def _look(self) -> Sight:
        planner = self._planner
        built, intents = planner.built, planner.built_from
        states = {state.dpid: state for state in self._reconciler.states()}
        wanted = self._reconciler.wanted_switches()
        realized = [states[dpid].realized for dpid in wanted if dpid in states]
        return Sight(
            site=planner.site,
            inventory=built.inventory if built else _NOBODY,
            connected=frozenset(dpid for dpid, state in states.items() if state.connected),
            links=self.links(),
            networks=frozenset(intents.networks if intents else ()),
            revision=self._revision(),
            realized=min((-1 if r is None else r for r in realized), default=-1),
            reports=self.reports(),
        )

    def _differs(self, sight: Sight) -> bool:
        return self._sight is None or not _same(self._sight, sight)

    # -- TopologyPort --------------------------------------------------------------------------

    def look(self) -> tuple[str, Map]:
        """Return the topology, and the id of the newest event that it includes."""
        with self._changed:
            return self._journal.mark(self._journal.last), self._map

    def follow(self, after: str) -> tuple[str, Reader | None]:
        """Follow the events after an id; see `intent.api.ports.TopologyPort`.

        Raises:
            TooManyReaders: there are MAX_READERS.
        """
        with self._changed:
            journal = self._journal
            position = journal.oldest if after == "oldest" else journal.position(after) if after else journal.last
            if position is None or journal.after(position, 1) is None:
                return journal.mark(journal.last), None
            if self._readers >= MAX_READERS:
                raise TooManyReaders(f"{MAX_READERS} clients follow the events")
            self._readers += 1
            return journal.mark(position), Reader(self, position)

    def read(self, position: int, timeout_s: float) -> tuple[int, list[tuple[str, Entry]] | None]:
        """Return the events after a position, for a reader, and the position after them."""
        with self._changed:
            self._changed.wait_for(lambda: self.stopped or self._journal.last > position, timeout_s)
            entries = None if self.stopped else self._journal.after(position, BATCH)
            if entries is None:
                return position, None
            return position + len(entries), [(self._journal.mark(entry.number), entry) for entry in entries]

    def leave(self) -> None:
        """Note that a reader is gone."""
        with self._changed:
            self._readers -= 1


_NOBODY = Inventory()


class Reader:
    """A client's place in the journal: `ReaderPort`."""

    def __init__(self, surveyor: Surveyor, position: int) -> None:
        self._surveyor = surveyor
        self._position = position
        self._closed = False

    def next(self, timeout_s: float) -> list[tuple[str, Entry]] | None:
        """Return what came; nothing after `timeout_s`, None if this fell too far behind or all ends."""
        self._position, found = self._surveyor.read(self._position, timeout_s)
        return found

    def close(self) -> None:
        """Stop following."""
        if not self._closed:
            self._closed = True
            self._surveyor.leave()


def _same_things(before: Sight, sight: Sight) -> bool:
    """Whether a survey of both is the same; sites and inventories are replaced when something changed."""
    return (
        before.site is sight.site
        and before.inventory is sight.inventory
        and before.connected == sight.connected
        and before.links == sight.links
        and before.networks == sight.networks
    )


def _is_under_way(sight: Sight) -> bool:
    """Whether switches are to hold what they do not yet."""
    return 0 <= sight.realized < sight.revision


def _same(before: Sight, sight: Sight) -> bool:
    """Whether there is nothing to tell."""
    told = (before.revision, before.realized, before.reports)
    return _same_things(before, sight) and told == (sight.revision, sight.realized, sight.reports)


def _told(before: Sight | None, sight: Sight) -> Iterator[News]:
    """Yield what happened to revisions and reports; what was before the first look is no news."""
    if before is not None:
        first = max(before.revision, sight.revision - MAX_APPLIED) + 1
        yield from (News("revision.applied", str(number)) for number in range(first, sight.revision + 1))
    known = (*before.inventory.reports, *before.reports) if before else ()
    yield from report_news(known, (*sight.inventory.reports, *sight.reports))

"""From what people want and what is plugged in, to what each switch should hold.

Events only mark this dirty; one thread looks at what they led to, however many came: it compares the values of
now with those of before, which costs what differs. The numbers that a program uses are durable before any switch
learns of the program.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from intent import clockwork
from intent.compiler import CompileError, OutOfNumbers
from intent.compiler.engine import IdChange
from intent.compiler.fabric import wiring
from intent.inventory import Built, Follower, Grants, Learned
from intent.model import Intents
from intent.schema.changes import StoreUnavailableError
from intent.store.zones import offsets
from ryu_apps.collecting import is_little, uncollected
from ryu_apps.convergence import Desired
from ryu_apps.landmarks import Landmarks
from ryu_apps.memory import Draft, Memory
from ryu_apps.outline import Outline, Tracker
from ryu_apps.precedence import behind
from ryu_apps.reconciler import Reconciler
from ryu_apps.whereabouts import Whereabouts
from ryu_apps.wiring import Wiring
from topology.events import Event
from topology.fabric import NO_FABRIC, Fabric
from topology.frozen import FrozenMap
from topology.joined import JoinedBridges
from topology.model import Inventory, TunnelKind
from topology.paths import Link
from topology.site import Site, SiteBridge, reduce
from topology.spans import Reach, Spans

log = logging.getLogger("ringfence.planner")

CLOCK_S = 60.0
"""Longest trust in the clock where policies depend on it: somebody may set it, either way."""
NOTHING_BUILT = Built(Inventory(), FrozenMap(), FrozenMap(), frozenset())
FIRST_PAUSE_S, LAST_PAUSE_S = 0.5, 5.0
"""Between two tries to write to a store that cannot be written."""
LATE_S = 10.0
"""After this wait for an OVSDB server at start, the log says which one keeps us waiting."""


@dataclasses.dataclass(frozen=True, slots=True)
class Work:
    """One compilation: what went in and what came out."""

    intents: Intents
    built: Built
    numbers: IdChange
    """To be made durable before any switch learns of the rest."""
    outlines: Mapping[int, Outline]
    """By datapath id."""


Planned: TypeAlias = tuple[Work, Draft]
"""A compilation, and what is to be made durable first."""


def compile_all(intents: Intents, built: Built, dpids: frozenset[int], tracker: Tracker, now_s: float) -> Work:
    """Compile for every switch what changed since the last time.

    Raises:
        CompileError, OutOfNumbers: it cannot be, and nothing changed.
    """
    numbers = tracker.follow(intents, built.inventory, dpids, now_s)
    return Work(intents, built, numbers, tracker.outlines)


class Planner:
    """One thread that compiles. Its other methods may be called by any thread, and do not block."""

    def __init__(
        self, memory: Memory, reconciler: Reconciler, intents: Callable[[], Intents], site: Site, bridge: str
    ) -> None:
        """Plan for the bridges named `bridge`; `site` is what is known before OVSDB says anything."""
        self._memory = memory
        self._reconciler = reconciler
        self._intents = intents
        self._bridge = bridge
        self._dirty = threading.Event()
        self._lock = threading.Lock()
        self.stopped = False
        self.grants = Grants()
        """Which label keys OVSDB rows may set."""
        self.extend: Callable[[Site, Built, Reach], Built] = lambda _site, built, _reach: built
        """Adds the tunnels between hosts."""
        self.landmarks = Landmarks()
        self._spans = Spans()
        self.announce: Callable[[], None] = lambda: None
        """Called after each compilation that went well."""
        self._site = site
        self._learned = memory.learned
        self.aside: Callable[[Callable[[], Planned]], Planned] = lambda function: function()
        """Runs the compilation; the controller sets one that lets others run meanwhile."""
        self._tracker: Tracker | None = None
        """None until the first plan, and when it is not to be trusted."""
        self._began_s = time.time() - time.monotonic()
        self._look_at: datetime | None = None
        """When the clock may change something next."""
        self._watch = clockwork.Watch()
        self._follower = Follower()
        self._whereabouts = Whereabouts()
        self._wiring = Wiring(self.landmarks)
        self._joined_bridges = JoinedBridges()
        self._links = memory.links
        self._combined = NOTHING_BUILT, NOTHING_BUILT
        """What was built, without and with the fabric."""
        self.fabric = NO_FABRIC
        """How switches are wired to each other, as of the newest plan."""
        self._epoch = 0
        self._planned_site: Site | None = None
        self.planned_revision = 0
        """Newest revision that was compiled."""
        self.failed_revision = -1
        self.failure = ""
        """Why the newest revision could not be compiled; empty when it could."""
        self.stuck = ""
        """Why not even what could be compiled reaches a switch: the store cannot be written."""
        self._short = False
        """It wants numbers that rest: time alone may mend it."""
        self.built: Built | None = None
        """What the newest compilation was made from; None before the first."""
        self.built_from: Intents | None = None

    # -- what changes --------------------------------------------------------------------------

    @property
    def site(self) -> Site:
        """What OVSDB says."""
        return self._site

    def observe(self, event: Event) -> bool:
        """Take an event of OVSDB; return whether it says something new."""
        with self._lock:
            site = reduce(self._site, event)
            changed = site is not self._site
            self._site = site
        if changed:
            self._dirty.set()
        return changed

    def wire(self, links: frozenset[Link]) -> None:
        """Take the links that are proven now."""
        self._links = links
        self._dirty.set()

    def touch(self) -> None:
        """Look again: the intents changed."""
        self._dirty.set()

    @property
    def learned(self) -> Learned:
        """The addresses learned so far."""
        return self._learned

    def learn(self, learned: Learned) -> None:
        """Take addresses that were learned since."""
        self._learned = learned
        self._dirty.set()

    def bridges(self) -> list[SiteBridge]:
        """Return our integration bridges that have a datapath."""
        with self._lock:
            found = self._joined_bridges.follow(self._site)
        return [b for b in found if b.ours and b.name == self._bridge and b.dpid is not None]

    # -- the thread ----------------------------------------------------------------------------

    def run(self) -> None:
        """Plan until stopped. Whoever begins anew after a fault looks at everything anew."""
        told = False
        self._dirty.set()
        while not self.stopped:
            woken = self._dirty.wait(self._patience_s(told=told))
            self._dirty.clear()
            if self._site.complete and not self.stopped:
                self.plan()
            elif not woken:
                self._say_who_is_late()
                told = True

    def _patience_s(self, *, told: bool) -> float | None:
        """Return how long to wait when nobody wakes us: until the clock changes what holds."""
        if not self._site.complete:
            return None if told else LATE_S
        if not self._watch.by_clock:
            return CLOCK_S if self._short else None
        return CLOCK_S if self._look_at is None else max(0.0, min(CLOCK_S, self._look_at.timestamp() - time.time()))

    def stop(self) -> None:
        """End the thread soon."""
        self.stopped = True
        self._dirty.set()

    def _say_who_is_late(self) -> None:
        late = [name for name, host in self._site.hosts.items() if not host.synced]
        log.warning("nothing is changed on any switch before these OVSDB servers answer: %s", ", ".join(late))

    def plan(self) -> None:
        """Compile everything once and say what is desired of each switch.

        Intents that cannot be compiled change nothing; those before them still follow what is plugged in.
        """
        intents, before = self._intents(), self.built_from
        self._short = False
        if self._try(intents):
            self.failure = ""
        elif before is not None and before is not intents:
            self._try(before)
        self._reconciler.poke()

    def _try(self, intents: Intents) -> bool:
        try:
            self._plan(intents, self._learned)
        except (CompileError, OutOfNumbers) as error:
            self.failure, self.failed_revision = str(error), max(self.failed_revision, intents.revision)
            self._short |= isinstance(error, OutOfNumbers)
            log.error("revision %d cannot be compiled: %s", intents.revision, error)  # noqa: TRY400 - no trace
            return False
        return True

    def _plan(self, intents: Intents, learned: Learned) -> None:
        memory, site, links, now = self._memory, self._site, self._links, datetime.now(UTC)
        dpids = frozenset(b.dpid for b in self.bridges() if b.dpid is not None)

        @uncollected(little=site is self._planned_site and is_little(self.built_from, intents))
        def work() -> tuple[Work, Draft]:
            effective = self._effective(intents, now)
            built = self._follower.build(site, effective, memory.claims, learned, self.grants)
            reach = self._spans.follow(built.inventory, effective.routers.values())
            built = self.extend(site, built, reach)
            self.fabric = self._wiring.follow(site, built.inventory.uplinks, links)
            built = self._wired(built, self.fabric)
            tracker = self._tracker = self._tracker or Tracker(memory.ids)
            done = compile_all(effective, built, dpids, tracker, self._steady_s())
            return done, memory.draft(done.numbers, built.claims, built.learned)

        try:
            done, draft = self.aside(work)
            self._keep(draft)
        except (CompileError, OutOfNumbers):
            raise  # nothing changed
        except BaseException:
            self._tracker = None  # it is ahead of what is durable
            raise
        if self._learned is learned:
            self._learned = done.built.learned
        _say_who_moved(done.numbers.moved)
        self.announce()
        self._say(done.built)
        before, self.built, self.built_from = self.built, done.built, intents
        self._want(done, before.inventory if before else None)
        self._reconciler.forget(self._reconciler.wanted_switches() - dpids)
        self.planned_revision, self._planned_site = intents.revision, site

    def _steady_s(self) -> float:
        """Return the time by which numbers rest: that of the clock at the start, and what passed since.

        Else a clock that is set forward would end every rest at once.
        """
        return self._began_s + time.monotonic()

    def _keep(self, draft: Draft) -> None:
        """Make numbers durable before any switch learns of them, however long the disk says no."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                self._memory.put(draft)
            except StoreUnavailableError as error:
                if self.stopped:
                    raise
                if not self.stuck:
                    log.error("nothing new reaches any switch: %s", error)  # noqa: TRY400 - no trace
                self.stuck = f"nothing new reaches this switch: {error}"
                self._reconciler.poke()
                time.sleep(pause_s)
                pause_s = min(pause_s * 2, LAST_PAUSE_S)
            else:
                break
        if self.stuck:
            log.warning("the store can be written again")
            self.stuck = ""

    def _wired(self, built: Built, fabric: Fabric) -> Built:
        """Return what was built with the fabric in it; the same as before where nothing changed."""
        if built.inventory.fabric is fabric:
            return built
        before, combined = self._combined
        if before is not built or combined.inventory.fabric is not fabric:
            combined = dataclasses.replace(built, inventory=dataclasses.replace(built.inventory, fabric=fabric))
            self._combined = built, combined
        return combined

    def _effective(self, intents: Intents, now: datetime) -> Intents:
        """Return the intents that hold at an instant."""
        watch = self._watch
        watch.take(intents)
        self._look_at = watch.next_look(now)
        return watch.effective(now, offsets(watch.zones(), now))

    def _want(self, done: Work, earlier: Inventory | None) -> None:
        """Say what each switch should hold; `earlier` is who was there before, None at the first time."""
        wanted: dict[int, Desired] = {}
        revision = done.intents.revision
        self._whereabouts.follow(done.built.inventory)
        for dpid, outline in done.outlines.items():
            before, ports = self._reconciler.desired(dpid), self._whereabouts.of(dpid)
            groups = wiring(self.fabric, dpid).groups
            known = before and (before.revision, before.groups) == (revision, groups)
            if before and known and before.program is outline.program and before.ports is ports:
                continue
            self._epoch += 1
            of_port, meters, timed = outline.of_port, outline.meters, outline.timed
            end = done.built.inventory.tunnels.get(dpid)
            option = end is not None and end.kind is TunnelKind.GENEVE
            known_by = self._epoch, revision, outline.program, ports, of_port, meters, timed
            wanted[dpid] = Desired(*known_by, option=option, groups=groups, lead=outline.lead, made=outline.made)
        waiting = behind(earlier, done.built.inventory, self._spans.reach) if earlier else {}
        self._reconciler.want_all(wanted, waiting)

    def _say(self, built: Built) -> None:
        before = self.built.inventory.reports if self.built else ()
        if built.inventory.reports is before:
            return
        known = set(before)
        for report in built.inventory.reports:
            if report not in known:
                log.warning("%s: %s (%s)", report.subject, report.problem, report.remedy)


def _say_who_moved(bands: Sequence[str]) -> None:
    if bands:
        named = ", ".join(bands[:_NAMED]) + (", ..." if len(bands) > _NAMED else "")
        log.warning(
            "the flows of %d orders change, for these had no room or made room for others: %s", len(bands), named
        )


_NAMED = 5
"""Orders that a line of the log names."""

"""Brings every connected switch to what is desired, and keeps it there.

One thread a switch: claim the MASTER role, read, send the difference, wait for a change or for the next
verification. `convergence` decides each step; this does it.
"""

from __future__ import annotations

import collections
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from intent.compiler.flow import FlowBody, FlowKey
from ryu_apps import bundle, changes, collecting, options, others, probing, sparing, timers
from ryu_apps.breath import Breath
from ryu_apps.changes import Bundle
from ryu_apps.convergence import Desired, Goal, Progress, Step, Withheld
from ryu_apps.conversation import Disconnected, SessionError
from ryu_apps.grouping import Groups
from ryu_apps.precedence import Behind, Gate
from ryu_apps.session import Dump, Role, Session, StaleGeneration
from ryu_apps.strangers import Strangers
from ryu_apps.telemetry import Counters
from ryu_apps.timers import Actual
from ryu_apps.wire import WireError
from topology.breathing import paced
from topology.frozen import FrozenMap

log = logging.getLogger("ringfence.reconciler")

MAX_LEFT_OUT = 1024
"""Refused conjunctions that are left out before nothing is changed at all."""
PASSED = 10_000
"""Messages after which the garbage collector need not look at what they were made of."""


@dataclasses.dataclass(frozen=True, slots=True)
class SwitchState:
    """What one switch is at, for people and for `?wait=realized`."""

    dpid: int
    connected: bool = False
    role: Role = Role.NONE
    peer: str = ""
    connected_at: float | None = None
    """Seconds since the epoch."""
    flows: int = 0
    realized: int | None = None
    """Newest revision that the switch confirmed; None on a new connection until it has."""
    problem: str = ""
    """Why it does not hold what it should; empty when it does or is under way."""
    foreign_removed: int = 0
    """Flows that others wrote and that were removed, since the controller started."""
    missing_restored: int = 0
    """Flows that others removed or changed and that were restored."""
    portless: frozenset[int] | None = None
    """Protocols whose ports its conntrack does not keep; None before it was found out."""
    commit_s: float | None = None
    """Duration of the last bundle, to its confirmation."""


class Reconciler:
    """All switches: what is desired of each, and how far it is. Every method may be called by any thread."""

    def __init__(self, generation: int, verify_interval_s: float) -> None:
        self.counters = Counters()
        self.generation = generation
        self.verify_interval_s = verify_interval_s
        self._changed = threading.Condition()
        self._desired: dict[int, Desired] = {}
        self._states: dict[int, SwitchState] = {}
        self._workers: dict[int, Worker] = {}
        self._gate = Gate()

    # -- what is wanted ------------------------------------------------------------------------

    def want(self, dpid: int, desired: Desired) -> None:
        """Say what a switch should hold from now on."""
        self.want_all({dpid: desired}, {})

    def want_all(self, wanted: Mapping[int, Desired], behind: Behind) -> None:
        """Say what switches should hold from now on, and which ports wait until other switches do."""
        with self._changed:
            self._gate.hold(behind, time.monotonic())
            for dpid, desired in wanted.items():
                self._desired[dpid] = desired
                self._states.setdefault(dpid, SwitchState(dpid))
            workers = [self._workers[dpid] for dpid in wanted if dpid in self._workers]
        for worker in workers:
            worker.wake()

    def held(self, dpid: int) -> tuple[frozenset[int], float | None]:
        """Return the ports of a switch that wait for other switches, and for how long at most."""
        with self._changed:
            return self._gate.held(dpid, self._knows, time.monotonic())

    def _knows(self, dpid: int) -> bool:
        """Whether a switch holds what it should; one that is not connected is not waited for."""
        worker, desired = self._workers.get(dpid), self._desired.get(dpid)
        return worker is None or desired is None or worker.reached == desired.epoch

    def go_on(self) -> None:
        """Let switches look again whose ports wait for others: one of them got further."""
        with self._changed:
            workers = [self._workers[dpid] for dpid in self._gate.waiting() if dpid in self._workers]
        for worker in workers:
            worker.wake()

    def forget(self, dpids: Collection[int]) -> None:
        """Forget switches that are none of ours any more."""
        with self._changed:
            for dpid in dpids:
                self._desired.pop(dpid, None)
                if dpid not in self._workers:
                    self._states.pop(dpid, None)

    def desired(self, dpid: int) -> Desired | None:
        """Return what a switch should hold, None as long as nobody said."""
        return self._desired.get(dpid)

    def wanted_switches(self) -> frozenset[int]:
        """Return the datapath ids that something is desired of."""
        return frozenset(self._desired)

    # -- connections ---------------------------------------------------------------------------

    def attach(self, session: Session) -> None:
        """Take over a switch that finished its handshake."""
        worker = Worker(self, session)
        with self._changed:
            self._workers[session.dpid] = worker
        threading.Thread(target=worker.run, name=f"switch-{session.dpid:016x}", daemon=True).start()

    def detach(self, session: Session) -> None:
        """Let a switch go whose connection ended."""
        session.close()
        with self._changed:
            worker = self._workers.get(session.dpid)
            if worker is None or worker.session is not session:
                return
            del self._workers[session.dpid]
            self._leave(session.dpid)
        worker.stop()

    def _leave(self, dpid: int) -> None:
        """Note that a switch is gone; forget one that nobody wants, or strangers would fill the memory."""
        state = self._states.get(dpid)
        if dpid not in self._desired or state is None:
            self._states.pop(dpid, None)
            self._changed.notify_all()
            return
        # The generation of a running controller never rises: who was taken over stays so.
        role = Role.STALE if state.role is Role.STALE else Role.NONE
        self.note(dpid, connected=False, role=role, peer="", connected_at=None, realized=None)

    def wake(self, dpid: int) -> None:
        """Let a switch's thread look again: its ports changed."""
        worker = self._workers.get(dpid)
        if worker:
            worker.wake()

    # -- how far it is -------------------------------------------------------------------------

    def note(self, dpid: int, **news: object) -> None:
        """Change a switch's state."""
        with self._changed:
            if dpid not in self._desired and dpid not in self._workers:
                return
            state = self._states.get(dpid, SwitchState(dpid))
            self._states[dpid] = dataclasses.replace(state, **news)  # type: ignore[arg-type] # names of fields
            self._changed.notify_all()

    def states(self) -> list[SwitchState]:
        """Return every switch that is wanted or connected, by datapath id."""
        with self._changed:
            return [state for _, state in sorted(self._states.items())]

    def state(self, dpid: int) -> SwitchState | None:
        """Return one switch, None if it is neither wanted nor connected."""
        with self._changed:
            return self._states.get(dpid)

    def superseded(self) -> bool:
        """Return whether another controller took over a switch that something is desired of."""
        with self._changed:
            return any(s.role is Role.STALE for s in self._states.values() if s.dpid in self._desired)

    def is_realized(self, revision: int) -> bool:
        """Return whether every switch that something is desired of confirmed this revision or a later one."""
        with self._changed:
            newest = [self._states[dpid].realized for dpid in self._desired]
        return all(held is not None and held >= revision for held in newest)

    def poke(self) -> None:
        """Let those who wait look again."""
        with self._changed:
            self._changed.notify_all()

    def wait(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until a switch's progress makes `done` true; return whether it is."""
        with self._changed:
            return self._changed.wait_for(done, timeout_s)


class Worker:
    """The thread of one connection."""

    def __init__(self, reconciler: Reconciler, session: Session) -> None:
        self.session = session
        self._reconciler = reconciler
        self._dpid = session.dpid
        self._woken = threading.Event()
        self._stopped = False
        self._progress = Progress()
        self._breathe = Breath()
        self._groups = Groups(session)
        self._withheld = Withheld()
        self._strangers = Strangers()
        self._actual: Actual = FrozenMap()
        """What the switch holds; after a write it is the object that was wanted, so the next is compared quickly."""
        self._foreign: Dump = Dump([], [])
        self._left_out: frozenset[int] = frozenset()
        """Conjunctions that allow and that the switch refused: the next write is without them."""

    @property
    def reached(self) -> int | None:
        """The newest compilation that the switch holds, ports that wait aside."""
        return self._progress.reached.epoch if self._progress.reached else None

    def wake(self) -> None:
        """Look again."""
        self._woken.set()

    def stop(self) -> None:
        """End soon."""
        self._stopped = True
        self._woken.set()

    def run(self) -> None:
        """Serve the connection until it ends."""
        session, note = self.session, self._reconciler.note
        note(self._dpid, connected=True, peer=session.link.peer, connected_at=session.connected_at)
        try:
            session.become_master(self._reconciler.generation)
            note(self._dpid, role=Role.MASTER, problem="")
            log.info("%016x: master with generation %d, %s", self._dpid, self._reconciler.generation, session.link.peer)
            while not self._stopped:
                self._turn()
        except Disconnected:
            log.info("%016x: disconnected", self._dpid)
        except StaleGeneration as error:
            note(self._dpid, role=Role.STALE, problem=f"{error}: stop this one, or restart it to take over again")
            log.error("%016x: %s; nothing is written to it any more", self._dpid, error)  # noqa: TRY400 - no trace
        except (SessionError, WireError) as error:
            note(self._dpid, problem=str(error))
            log.warning("%016x: %s; connecting anew", self._dpid, error)
            session.link.shut(str(error))
        except Exception as error:
            # Whatever it is: a switch whose thread is dead would keep what was revoked, and look healthy.
            note(self._dpid, problem=f"a fault of ours: {error!r:.200}")
            log.exception("%016x: a fault of ours: report it with these lines; connecting anew", self._dpid)
            session.link.shut("a fault of ours")

    # -- one turn ------------------------------------------------------------------------------

    def _turn(self) -> None:
        if self.session.role is Role.STALE:
            raise StaleGeneration(bundle.TAKEN_OVER)
        desired = self._reconciler.desired(self._dpid)
        ports = self.session.ports
        held, held_s = self._reconciler.held(self._dpid)
        goal = Goal(desired.epoch, self._withheld.follow(desired.ports, ports) | held) if desired else None
        step, wait_s = self._progress.next_step(goal, time.monotonic())
        if step is Step.READ and desired:
            known = self._progress.known
            self._read(self._actual if known else desired.program, None if known else desired.made)
        elif step is Step.WRITE and desired and goal:
            self._write(desired, goal)
        else:
            self._woken.wait(wait_s if held_s is None or wait_s is None else min(wait_s, held_s))
            self._woken.clear()

    def _read(self, expected: Actual, made: Mapping[FlowKey, FlowBody] | None = None) -> None:
        """Read the tables. After the first time, what differs from what we wrote was done by others."""
        dump = self.session.dump(expected, made)
        self._groups.doubt()
        self._reconciler.counters.take(self._dpid, paced(dump.flows, self._breathe), dump.counts)
        self._strangers.look(self._dpid, self._reconciler.counters)
        actual = dump.held(time.time(), self._breathe)
        if self._progress.known:
            self._report(actual, dump)
        elif dump.foreign:
            log.warning("%016x: %d foreign flows%s", self._dpid, len(dump.foreign), others.some(dump.foreign))
        self._actual = actual
        self._foreign = Dump([], dump.foreign)
        self._progress.read(time.monotonic(), self._reconciler.verify_interval_s)
        self._reconciler.note(self._dpid, flows=len(actual) + len(dump.foreign))

    def _report(self, actual: Actual, dump: Dump) -> None:
        did = others.deeds(self._actual, actual, dump.foreign, self._breathe)
        if not did.added and not did.lost:
            return
        log.warning("%016x: %d foreign flows, %d missing or changed%s", self._dpid, did.added, did.lost, did.example)
        state = next(s for s in self._reconciler.states() if s.dpid == self._dpid)
        self._reconciler.note(
            self._dpid,
            foreign_removed=state.foreign_removed + did.added,
            missing_restored=state.missing_restored + did.lost,
        )

    def _write(self, desired: Desired, goal: Goal) -> None:
        now_s = time.time()
        program = desired.program_without(goal.withheld).but(gone=timers.over(desired.timed, now_s))
        program = sparing.without(program, self._left_out)
        actual = timers.settled(self._actual, program, desired.timed, now_s)
        least = changes.changes_between(actual, program, desired.lead, self._breathe)
        whole = Bundle(tuple(self._foreign.foreign), least)
        try:
            self.session.ensure_meters(desired.meters)
            groups = desired.groups_without(goal.withheld)
            options.ensure(self.session, wanted=desired.option)
            self._groups.ensure(groups)
            last = self._commit(changes.stages(whole, actual, program, breathe=self._breathe), whole, program)
            self.session.drop_meters(desired.meters)
            options.drop(self.session, wanted=desired.option)
            self._groups.drop(groups)
        except bundle.CommitFailed as error:
            self._refused(error, program, goal)
            return
        self._actual = program
        if self._left_out:
            self._hold_without(goal)
        else:
            self._progress.confirmed(goal)
            self._reconciler.go_on()
            if self.session.portless is None:
                probing.ask(self.session)
            self._reconciler.note(self._dpid, realized=desired.revision, flows=len(self._actual), problem="")
        if last:
            time.sleep(0)  # those who wait for it come first
            self._tell(last)

    def _refused(self, error: bundle.CommitFailed, program: Actual, goal: Goal) -> None:
        """Leave out what was refused, if that is safe, and begin anew; else try the same again after a pause."""
        self._reconciler.note(self._dpid, problem=str(error))
        log.warning("%016x: %s; trying again", self._dpid, error)
        more = sparing.spared(program, error.failures)
        if more and len(self._left_out) < MAX_LEFT_OUT:
            self._left_out |= more
            self._progress.known = False
        else:
            self._left_out = frozenset()
            self._progress.failed(goal, time.monotonic())

    def _hold_without(self, goal: Goal) -> None:
        """Hold what the switch took; what was left out is tried again, with all the rest, after a pause."""
        count, state = len(self._left_out), self._reconciler.state(self._dpid)
        self._left_out = frozenset()
        self._progress.failed(goal, time.monotonic())
        problem = f"{count} rules are not in force, the rest is: {state.problem if state else ''}"
        self._reconciler.note(self._dpid, problem=problem, flows=len(self._actual))
        log.warning("%016x: %s", self._dpid, problem)

    def _commit(self, parts: Iterable[Bundle], whole: Bundle, program: Actual) -> bundle.CommitResult | None:
        """Commit one after the other, and note each as it is confirmed; the next is sent before that.

        With the `whole` of them in one the switch holds the `program`; that one is returned, and is still to be told.
        """
        sent: collections.deque[Bundle] = collections.deque()
        passed = 0
        for result in bundle.commit_all(self.session, _noted(parts, sent), alone=len(whole) <= changes.MAX_MESSAGES):
            part = sent.popleft()
            self._actual = program if part is whole else changes.applied(self._actual, part.changes)
            del self._foreign.foreign[: len(part.foreign)]  # they go in this order; there may be a million
            if part is whole:
                return result
            passed += len(part)
            if passed >= PASSED:
                passed = 0
                collecting.pass_by()
            self._tell(result)
            self._reconciler.note(self._dpid, flows=len(self._actual) + len(self._foreign.foreign))
        return None

    def _tell(self, result: bundle.CommitResult) -> None:
        self._reconciler.note(self._dpid, commit_s=result.seconds)
        log.info("%016x: %d changes in %.1f ms", self._dpid, result.messages, result.seconds * 1000)


def _noted(parts: Iterable[Bundle], sent: collections.deque[Bundle]) -> Iterator[Bundle]:
    """Yield bundles as they go on the wire, and keep what they mean."""
    for part in parts:
        sent.append(part)
        yield changes.on_wire(part, time.time())

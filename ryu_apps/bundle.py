"""One change of a switch at one instant: an atomic bundle (OpenFlow 1.4, 6.9).

Open vSwitch keeps a bundle open when it refuses a message of it, and would commit the rest. So the
bundle is closed first, and committed only when the close came back without an error before it.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import time
from collections.abc import Iterable, Iterator, Sequence

from intent.compiler import render
from ryu_apps import wire
from ryu_apps.changes import Bundle, Change
from ryu_apps.conversation import Conversation, SessionError
from ryu_apps.session import Refusal, Role, Session, StaleGeneration
from ryu_apps.wire import ATOMIC_ORDERED, BundleStep, Command, ForeignFlow, Kind

COMMIT_S = 30.0
"""Longest wait for a bundle to be taken or committed: 20,000 flows take a tenth of a second."""
MAX_FAILURES = 64
"""Refused messages that are reported one by one; a switch may refuse them all."""
BUNDLE_IDS = (1, 2, 3)
"""Taken in turns: while one is committed the next is read and the one after it encoded."""
IS_SLAVE = (1, 10)
"""OFPET_BAD_REQUEST, OFPBRC_IS_SLAVE."""

TAKEN_OVER = "another controller took over"


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """A message that the switch refused."""

    subject: Change | ForeignFlow | None
    """None: the bundle as a whole."""
    refusal: Refusal


MAX_NAMED = 300
"""Characters of a flow in a message for people."""


class CommitFailed(SessionError):
    """The switch refused the bundle and holds what it held before."""

    def __init__(self, failures: Sequence[Failure]) -> None:
        self.failures = tuple(failures)
        first = failures[0]
        super().__init__(f"{len(failures)} messages refused; the first: {first.refusal} {_named(first.subject)}")


def _named(subject: Change | ForeignFlow | None) -> str:
    """Say what was refused, as `ovs-ofctl` would."""
    if subject is None:
        return "as a whole"
    if isinstance(subject, ForeignFlow):
        return f"for the deletion of a foreign flow in table {subject.table}, priority {subject.priority}"
    command, flow = subject
    verb = "deletion" if command is Command.DELETE_STRICT else "addition"
    return f"for the {verb} of {render.flow_text(flow):.{MAX_NAMED}}"


class NotMaster(SessionError):
    """The session may not write."""


@dataclasses.dataclass(frozen=True, slots=True)
class CommitResult:
    """A bundle that the switch confirmed."""

    messages: int
    seconds: float
    """From the first byte sent to the commit reply."""


LITTLE = 256
"""Messages of a bundle that is sent in one piece."""
AT_ONCE_S = 0.002
"""Longest time in which a little bundle keeps others from running: of 18 flows it is mostly committed in 0.3 ms, of 160
in 1: Open vSwitch reads 50 messages in a turn over all its ports."""


def commit(session: Session, bundle: Bundle) -> CommitResult:
    """Apply a bundle at one instant, or nothing of it.

    Raises:
        NotMaster: this controller has not the right to write; nothing was sent.
        StaleGeneration: it lost the right; nothing was changed.
        CommitFailed: the switch refused; it holds what it held before.
        SessionError: the connection failed: read the switch again to know what it holds.
    """
    return next(commit_all(session, (bundle,), alone=True), CommitResult(0, 0.0))


def commit_all(session: Session, bundles: Iterable[Bundle], *, alone: bool = False) -> Iterator[CommitResult]:
    """Apply bundles one after the other, each at one instant; yield for each that is not empty once it is confirmed.

    Args:
        session: with the switch.
        bundles: made one after the other, while those before are on their way.
        alone: there is at most one.

    Raises:
        SessionError: as `commit`. What was yielded is done, and nothing of the bundles after it.
    """
    ids = itertools.cycle(BUNDLE_IDS)
    underway: collections.deque[_Underway] = collections.deque()
    try:
        for bundle in filter(len, bundles):
            _may_write(session)
            underway.append(_Underway(session, bundle, next(ids)))
            underway[-1].send(alone=alone)
            if len(underway) == len(BUNDLE_IDS):
                yield underway.popleft().finish()
            if len(underway) > 1:  # only now: while the last messages of that one were read, these were encoded
                underway[-2].ask_commit()
        while underway:
            if len(underway) == 1:
                underway[0].ask_commit()
            yield underway.popleft().finish()
    finally:
        for one in underway:
            one.end()


def _may_write(session: Session) -> None:
    if session.role is Role.STALE:
        raise StaleGeneration(TAKEN_OVER)
    if session.role is not Role.MASTER:
        raise NotMaster(f"the role on {session.dpid:016x} is {session.role.value}")


class _Underway:
    """A bundle on its way: sent, closed, committed; or discarded."""

    def __init__(self, session: Session, bundle: Bundle, number: int) -> None:
        self._session = session
        self._bundle = bundle
        self._id = number
        self._first = session.exchange.take_xids(len(bundle) + 3)
        self._talk = Conversation(session.exchange, self._first, len(bundle) + 3)
        session.exchange.join(self._talk)
        self._started_at = time.monotonic()
        self._asked = False

    def send(self, *, alone: bool) -> None:
        """Send everything but the commit; that of a bundle `alone` follows by itself once it may."""
        self._session.flow_mods += len(self._bundle)
        if alone:
            self._talk.reflex = self._closed
        if len(self._bundle) <= LITTLE:
            self._talk.at_once_s = AT_ONCE_S if alone else 0.0
            self._talk.say(b"".join(self._pieces()))
            return
        for piece in self._pieces():
            self._talk.say(piece)
            time.sleep(0)  # echoes get their turn

    def _closed(self, frame: bytes) -> bool:
        """Commit at the very instant at which the switch says that it took every message; return whether it did.

        Open vSwitch then still reads. A tenth of a millisecond later it has gone on to all its ports, and comes back
        in half of one (measured with 1,000 of them).
        """
        if frame[1] == Kind.ERROR:
            self._talk.reflex = None
            return False
        if frame[1] != Kind.BUNDLE_CONTROL or wire.decode_bundle_control(frame).step is not BundleStep.CLOSE_REPLY:
            return False
        self._talk.reflex = None
        self._asked = self._session.link.write(self._last(BundleStep.COMMIT_REQUEST))
        return self._asked

    def ask_commit(self) -> None:
        """Once the switch took every message, ask it to commit.

        Raises:
            SessionError: it refused some, or the connection failed.
        """
        self._until(BundleStep.CLOSE_REPLY)
        if not self._asked:
            self._asked = True
            self._say_last(BundleStep.COMMIT_REQUEST)

    def finish(self) -> CommitResult:
        """Return when the switch confirmed, and hear no more.

        Raises:
            SessionError: it refused, or the connection failed.
        """
        try:
            self._until(BundleStep.COMMIT_REPLY)
        finally:
            self._session.exchange.leave(self._talk)
        return CommitResult(len(self._bundle), time.monotonic() - self._started_at)

    def end(self) -> None:
        """Discard what was never to be committed, and hear no more."""
        if not self._asked:
            with contextlib.suppress(SessionError):  # a closed connection discards too
                self._say_last(BundleStep.DISCARD_REQUEST)
        self._session.exchange.leave(self._talk)

    def _say_last(self, step: BundleStep) -> None:
        self._talk.say(self._last(step))

    def _last(self, step: BundleStep) -> bytes:
        return wire.bundle_control(self._first + len(self._bundle) + 2, self._id, step)

    def _pieces(self) -> Iterator[bytes | bytearray]:
        """Yield open, one message a change and close; transaction ids count up from the first."""
        bundle, number, first = self._bundle, self._id, self._first
        yield wire.bundle_control(first, number, BundleStep.OPEN_REQUEST)
        numbered = enumerate(bundle.foreign, first + 1)
        while some := tuple(itertools.islice(numbered, LITTLE)):
            yield b"".join(wire.bundle_add(xid, number, wire.encode_delete_strict(flow, xid)) for xid, flow in some)
        start = first + 1 + len(bundle.foreign)
        yield from wire.bundle_flow_mods(number, start, bundle.changes, ATOMIC_ORDERED)
        yield wire.bundle_control(first + len(bundle) + 1, number, BundleStep.CLOSE_REQUEST)

    def _until(self, wanted: BundleStep) -> None:
        """Wait for the wanted answer.

        Raises:
            SessionError: the switch refused messages, and says which; or the connection failed.
        """
        failures = self._failures(wanted)
        if any((f.refusal.kind, f.refusal.code) == IS_SLAVE for f in failures):
            self._session.become_stale()
            raise StaleGeneration(TAKEN_OVER)
        if failures:
            raise CommitFailed(failures)

    def _failures(self, wanted: BundleStep) -> list[Failure]:
        failures: list[Failure] = []
        give_up_at = time.monotonic() + COMMIT_S
        while True:
            answer = self._talk.next(give_up_at, "bundle")
            if answer[1] != Kind.ERROR:
                if answer[1] == Kind.BUNDLE_CONTROL and wire.decode_bundle_control(answer).step is wanted:
                    return failures
                continue
            refusal = Refusal("bundle", answer)
            place = refusal.xid - self._first - 1
            if len(failures) < MAX_FAILURES:
                failures.append(Failure(_subject(self._bundle, place), refusal))
            if place >= len(self._bundle):  # close or commit itself was refused: no reply will follow
                return failures


def _subject(bundle: Bundle, place: int) -> Change | ForeignFlow | None:
    if not 0 <= place < len(bundle):
        return None
    foreign = len(bundle.foreign)
    return bundle.foreign[place] if place < foreign else bundle.changes[place - foreign]

"""One change of a switch at one instant: an atomic bundle (OpenFlow 1.4, 6.9).

Open vSwitch keeps a bundle open when it refuses a message of it, and would commit the rest. So the
bundle is closed first, and committed only when the close came back without an error before it.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence

from ryu_apps import wire
from ryu_apps.changes import Bundle, Change
from ryu_apps.conversation import Conversation, SessionError
from ryu_apps.session import Refusal, Role, Session, StaleGeneration
from ryu_apps.wire import ATOMIC_ORDERED, BundleStep, ForeignFlow, Kind

COMMIT_S = 30.0
"""Longest wait for a bundle to be taken or committed: 20,000 flows take a tenth of a second."""
MAX_FAILURES = 64
"""Refused messages that are reported one by one; a switch may refuse them all."""
BUNDLE_ID = 1
"""One bundle at a time in a session."""
IS_SLAVE = (1, 10)
"""OFPET_BAD_REQUEST, OFPBRC_IS_SLAVE."""

TAKEN_OVER = "another controller took over"


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """A message that the switch refused."""

    subject: Change | ForeignFlow | None
    """None: the bundle as a whole."""
    refusal: Refusal


class CommitFailed(SessionError):
    """The switch refused the bundle and holds what it held before."""

    def __init__(self, failures: Sequence[Failure]) -> None:
        self.failures = tuple(failures)
        first = failures[0]
        super().__init__(f"{len(failures)} messages refused; the first: {first.refusal} of {first.subject}")


class NotMaster(SessionError):
    """The session may not write."""


@dataclasses.dataclass(frozen=True, slots=True)
class CommitResult:
    """A bundle that the switch confirmed."""

    messages: int
    seconds: float
    """From the first byte sent to the commit reply."""


def commit(session: Session, bundle: Bundle) -> CommitResult:
    """Apply a bundle at one instant, or nothing of it.

    Raises:
        NotMaster: this controller has not the right to write; nothing was sent.
        StaleGeneration: it lost the right; nothing was changed.
        CommitFailed: the switch refused; it holds what it held before.
        SessionError: the connection failed: read the switch again to know what it holds.
    """
    if session.role is Role.STALE:
        raise StaleGeneration(TAKEN_OVER)
    if session.role is not Role.MASTER:
        raise NotMaster(f"the role on {session.dpid:016x} is {session.role.value}")
    count = len(bundle)
    if not count:
        return CommitResult(0, 0.0)
    first = session.exchange.take_xids(count + 3)
    data = b"".join(_messages(bundle, first))
    started_at = time.monotonic()
    with Conversation(session.exchange, first, count + 3) as talk:
        session.flow_mods += count
        talk.say(data)
        failures = _until(talk, BundleStep.CLOSE_REPLY, bundle)
        final = BundleStep.DISCARD_REQUEST if failures else BundleStep.COMMIT_REQUEST
        talk.say(wire.bundle_control(first + count + 2, BUNDLE_ID, final))
        failures = failures or _until(talk, BundleStep.COMMIT_REPLY, bundle)
    if any((f.refusal.kind, f.refusal.code) == IS_SLAVE for f in failures):
        session.become_stale()
        raise StaleGeneration(TAKEN_OVER)
    if failures:
        raise CommitFailed(failures)
    return CommitResult(count, time.monotonic() - started_at)


def _messages(bundle: Bundle, first: int) -> Iterator[bytes]:
    """Yield open, one message a change and close; transaction ids count up from `first`."""
    yield wire.bundle_control(first, BUNDLE_ID, BundleStep.OPEN_REQUEST)
    for xid, flow in enumerate(bundle.foreign, first + 1):
        yield wire.bundle_add(xid, BUNDLE_ID, wire.encode_delete_strict(flow, xid))
    start = first + 1 + len(bundle.foreign)
    yield from wire.bundle_flow_mods(BUNDLE_ID, start, bundle.changes, ATOMIC_ORDERED)
    yield wire.bundle_control(first + len(bundle) + 1, BUNDLE_ID, BundleStep.CLOSE_REQUEST)


def _until(talk: Conversation, wanted: BundleStep, bundle: Bundle) -> list[Failure]:
    """Collect errors until the switch answers with the wanted step, or refuses it."""
    failures: list[Failure] = []
    give_up_at = time.monotonic() + COMMIT_S
    while True:
        answer = talk.next(give_up_at, "bundle")
        if answer[1] != Kind.ERROR:
            if answer[1] == Kind.BUNDLE_CONTROL and wire.decode_bundle_control(answer).step is wanted:
                return failures
            continue
        refusal = Refusal("bundle", answer)
        place = refusal.xid - talk.xids.start - 1
        if len(failures) < MAX_FAILURES:
            failures.append(Failure(_subject(bundle, place), refusal))
        if place >= len(bundle):  # close or commit itself was refused: no reply will follow
            return failures


def _subject(bundle: Bundle, place: int) -> Change | ForeignFlow | None:
    if not 0 <= place < len(bundle):
        return None
    foreign = len(bundle.foreign)
    return bundle.foreign[place] if place < foreign else bundle.changes[place - foreign]

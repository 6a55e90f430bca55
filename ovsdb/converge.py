"""Read, plan, write, and read again when somebody else was faster; or only say what would be written."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from ovsdb.errors import EnsureError, ProtocolError, TransactionError
from ovsdb.explain import Change, explain
from ovsdb.operations import is_row, mutate, select
from ovsdb.scene import read_scene, rows_of
from ovsdb.session import Operation, Transactor
from topology.events import RootRow

ATTEMPTS = 10
"""How often a plan is made anew because somebody else was faster."""
POLL_FIRST_S, POLL_CAP_S = 0.002, 0.05
GUARD_FAILED = "timed out"
"""RFC 7047's name for a `wait` that does not hold."""


class _Rooted(Protocol):
    @property
    def root(self) -> RootRow: ...


F = TypeVar("F", bound=_Rooted)


@dataclasses.dataclass(frozen=True, slots=True)
class Applied:
    """What came of it."""

    changed: bool
    """Something was written, or of a dry run, would be."""
    ofport: int | None = None
    """The port's OpenFlow number, if the wish was a port and we waited."""
    changes: tuple[Change, ...] = ()
    """Of a dry run: what would be done."""


@dataclasses.dataclass(frozen=True, slots=True)
class Mode:
    """How to go about it."""

    wait_s: float | None = None
    """Return only when vswitchd has applied it, or fail after this time. None: as soon as it is stored."""
    dry_run: bool = False
    """Write nothing; say what would be done."""


def converge(db: Transactor, find: Callable[[], F], plan: Callable[[F], list[Operation]], mode: Mode) -> Applied:
    """Read, plan and write until nothing is left to do or one write went through.

    Raises:
        EnsureError: the plan cannot be made, others kept changing the rows, or it was not applied in time.
        TransactionError, ConnectionLost, ProtocolError: of the database.
    """
    for _ in range(ATTEMPTS):
        found = find()
        operations = plan(found)
        if mode.dry_run:
            changes = explain(db, operations) if operations else ()
            return Applied(bool(operations), changes=changes)
        if not operations:
            await_applied(db, found.root.next_cfg, mode.wait_s)
            return Applied(changed=False)
        try:
            results = db.transact([*operations, *bump(found.root)])
        except TransactionError as error:
            if error.error != GUARD_FAILED:
                raise
            continue
        stored = rows_of(results[-1])
        await_applied(db, _integer(stored[0].get("next_cfg") if stored else None), mode.wait_s)
        return Applied(changed=True)
    raise EnsureError(f"somebody else changed the database {ATTEMPTS} times while we tried; find out who")


def bump(root: RootRow) -> list[Operation]:
    """Ask vswitchd to confirm: it copies next_cfg to cur_cfg once it has applied what came before."""
    read_it = select("Open_vSwitch", [is_row(root.uid)], ["next_cfg"])
    return [mutate("Open_vSwitch", root.uid, ("next_cfg", "+=", 1)), read_it]


def await_applied(db: Transactor, number: int, wait_s: float | None) -> None:
    """Wait until vswitchd has applied everything up to `number`.

    Raises:
        EnsureError: it did not in time.
    """
    if wait_s is not None and not poll(lambda: read_scene(db, ()).root.cur_cfg >= number, wait_s):
        raise EnsureError(f"ovs-vswitchd did not apply the change within {wait_s:g} s, though it is stored; is it up?")


def poll(done: Callable[[], bool], wait_s: float) -> bool:
    """Ask until it is done; False when the time is over first."""
    deadline = time.monotonic() + wait_s
    pause_s = POLL_FIRST_S
    while not done():
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, POLL_CAP_S)
    return True


def _integer(value: object) -> int:
    if type(value) is not int:
        raise ProtocolError("next_cfg must be an integer")
    return value

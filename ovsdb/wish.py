"""What every further wish has in common: what its plan reads, how it is brought about, and how it is undone."""

from __future__ import annotations

from typing import Protocol

from ovsdb.converge import Applied, Mode, converge
from ovsdb.errors import EnsureError
from ovsdb.port_plans import our_bridge
from ovsdb.scene import Held, Query, Scene, read_scene
from ovsdb.session import Operation, Transactor
from ovsdb.settle import marked

MAX_TARGET = 300


class Wish(Protocol):
    """Something that `ensure` can bring about and `remove` can undo. All but the two calls is pure."""

    def check(self) -> None:
        """Refuse what cannot be, without the database.

        Raises:
            EnsureError: with the field and what it may be.
        """

    def queries(self) -> list[Query]:
        """Return what the plans read."""

    def plan(self, scene: Scene) -> list[Operation]:
        """Return the operations that make it so; none if it is.

        Raises:
            EnsureError: it cannot be, or what is there is somebody else's.
        """

    def removal(self, scene: Scene) -> list[Operation]:
        """Return the operations that undo it; none if nothing of it is there.

        Raises:
            EnsureError: what is there is somebody else's.
        """


def ensure(db: Transactor, wish: Wish, *, wait_s: float | None = None, dry_run: bool = False) -> Applied:
    """Make it so, or say what that would change.

    Raises:
        EnsureError: the wish is wrong, what is there is somebody else's, or it was not applied in time.
        TransactionError, ConnectionLost, ProtocolError: of the database.
    """
    wish.check()
    return converge(db, lambda: read_scene(db, wish.queries()), wish.plan, Mode(wait_s, dry_run))


def remove(db: Transactor, wish: Wish, *, wait_s: float | None = None, dry_run: bool = False) -> Applied:
    """Undo it, whatever its details, or say what that would change; raises as `ensure`."""
    return converge(db, lambda: read_scene(db, wish.queries()), wish.removal, Mode(wait_s, dry_run))


def ours(table: str, owner: str, *conditions: object) -> Query:
    """Return the query for the rows of a table that carry our mark."""
    return table, [marked(owner), *conditions]


def port_on(scene: Scene, bridge: str, owner: str, name: str) -> Held:
    """Return a port of our bridge, whoever plugged it in: the bridge is wholly ours.

    Raises:
        EnsureError: there is none of that name on it.
    """
    port = scene.named("Port", name)
    if port is None or port.uid not in our_bridge(scene, bridge, owner).columns["ports"]:
        raise EnsureError(f"bridge {bridge} has no port {name[:80]!r}; see `ringfence topology`")
    return port


def in_range(what: str, value: int | None, least: int, most: int) -> None:
    """Refuse a number out of its range.

    Raises:
        EnsureError: it is.
    """
    if value is not None and not least <= value <= most:
        raise EnsureError(f"{what} {value} is not {least}..{most}")

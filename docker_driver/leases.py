"""Addresses from the controller's book: blocks of subnets leased to this host ahead of need. One thread asks.

Driver calls take what is leased and ask nobody. They wait for the thread, at most `WAIT_S`, in two cases: a network of
which nothing is leased yet, and an address given by hand outside of what is leased.

Level-triggered: each look says all that this host has and wants, so what was lost on the way, or by a crash of either
side, is made good by the next. The book never holds less for this host than its file does.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from docker_driver.errors import Refused, Unreachable
from docker_driver.ipam import GATEWAY, NOBODY, Address, Pool, Subnet, pool_of
from docker_driver.looking import Looker, Pace
from docker_driver.state import State

log = logging.getLogger("ringfence.docker.leases")

WAIT_S = 2.0
PACE = Pace(look_s=30.0, first_retry_s=0.1, last_retry_s=5.0)
ATTEMPTS = 3
AHEAD, AHEAD_SHARE = 64, 8
"""Free addresses that are leased ahead of need: so many, and at most an eighth of the pool."""
LINGER_S = 60.0
"""An address given by hand stays claimed this long after its release: most containers come back at once."""
MAX_CLAIMS = 3000
MAX_WANT, MOST_COUNTED = 4 << 20, 1 << 20
"""Of the controller's API: what may be wanted of a pool, and what a block counts at most."""

Body = dict[str, Any]


class ControllerPort(Protocol):
    """What is asked of the controller; `docker_driver.controller.Controller` is one."""

    def lease(self, holder: str, wish: Body) -> Body:
        """Say what this host has and wants; return what it has."""


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What the controller said, validated."""

    turn: int
    blocks: frozenset[Subnet]
    claims: frozenset[Subnet]
    refused: dict[str, str]
    """Holder by block or address."""


class Leases(Looker):
    """Looks when woken, when something failed a moment ago, and every 30 s."""

    def __init__(
        self, state: State, controller: ControllerPort, *, refuse: bool, clock: Callable[[], float] = time.time
    ) -> None:
        """Nothing happens before `run`.

        `refuse`: give no address of a network of which nothing was ever leased because no controller could be asked;
        else choose from all of it until one can.
        """
        super().__init__(log, PACE)
        self._state = state
        self._controller = controller
        self._refuse = refuse
        self._clock = clock
        self._waiting = threading.Condition()
        self._asked = self._answered = 0
        self._pending: list[Address] = []
        """Addresses given by hand that a call is about to take."""
        self._refused: dict[str, str] = {}
        self._trouble = ""
        """Why the last look failed, and when; a call need not find out again at once."""
        self._fails_at = 0.0
        self._settled: tuple[Body, ...] = ()
        """What need not be asked: what was answered last, and what follows from that answer."""

    # -- for the calls -------------------------------------------------------------------------

    def meet(self, pool: Pool) -> None:
        """Have something of a new pool leased, if the controller answers soon."""
        if self._leased(pool):
            return
        if self._trouble and self._fails_at < time.monotonic() < self._fails_at + PACE.last_retry_s:
            self.wake()
        else:
            self.ask()

    def ranges(self, db: sqlite3.Connection, pool: Pool) -> list[tuple[int, int]] | None:
        """Return first and last addresses that may be chosen, as numbers; None: any of the pool.

        Raises:
            Refused: nothing of it was ever leased, and that is to matter.
        """
        if db.execute("SELECT 1 FROM leased WHERE pool = ?", (pool.uid,)).fetchone() is None:
            if self._refuse:
                raise Refused(f"no address of {pool.part} is leased to this host yet ({self._why()}): try again")
            return None
        return _ranges(pool, _rows(db, claims=False))

    def why_none(self) -> str:
        """Say why no more is leased."""
        return f"this host has no more of it leased: {self._why()}"

    @contextlib.contextmanager
    def claiming(self, pool: Pool, address: Address) -> Iterator[None]:
        """Make sure that an address is this host's, and stays so until it is written down.

        Raises:
            Refused: it is another host's, or the controller, which has to be asked, does not answer.
        """
        with self._waiting:
            self._pending.append(address)
        try:
            if not self._covered(address):
                self.ask()
                self._check(pool, address)
            yield
        finally:
            with self._waiting:
                self._pending.remove(address)

    def ask(self) -> None:
        """Wait for a look that begins now, at most `WAIT_S`."""
        with self._waiting:
            self._asked += 1
            number = self._asked
            self.wake()
            if not self._waiting.wait_for(lambda: self._answered >= number, WAIT_S):
                self._trouble = self._trouble or f"no answer in {WAIT_S:g} s"
                self._fails_at = time.monotonic()

    def _check(self, pool: Pool, address: Address) -> None:
        if self._covered(address):
            return
        other = self._refused.get(str(ipaddress.ip_network(address)))
        if other:
            raise Refused(f"{address} is leased to another host, {other}: choose another, or a range of its own")
        if self._refuse or self._leased(pool):
            why = f"{address} is not among the addresses leased to this host, and {self._why()}"
            raise Refused(f"{why}: leave out --ip, or try again")

    def _why(self) -> str:
        return f"the controller does not answer as it should ({self._trouble})" if self._trouble else "none is free"

    def _leased(self, pool: Pool) -> bool:
        with self._state.transaction() as db:
            return db.execute("SELECT 1 FROM leased WHERE pool = ?", (pool.uid,)).fetchone() is not None

    def _covered(self, address: Address) -> bool:
        with self._state.transaction() as db:
            return any(address in block for block in (*_rows(db, claims=False), *_rows(db, claims=True)))

    # -- the thread ----------------------------------------------------------------------------

    def forget(self) -> None:
        """Ask the book anew at the next look."""
        self._settled = ()

    def look(self) -> bool:
        """Tell the controller what this host has and wants; return whether it answered."""
        with self._waiting:
            began = self._asked
        trouble = ""
        try:
            for _ in range(ATTEMPTS):
                trouble = self._settle()
                if not trouble and self._done():
                    break
        except (Unreachable, Refused) as error:
            trouble = str(error)
        except Exception:
            log.exception("leasing failed by a fault of ours: report it with these lines")
            trouble = "a fault of the driver"
        with self._waiting:
            if trouble != self._trouble:
                log.log(
                    logging.WARNING if trouble else logging.INFO, "leases of addresses: %s", trouble or "well again"
                )
            self._trouble, self._answered = trouble, began
            self._fails_at = time.monotonic() if trouble else 0.0
            self._waiting.notify_all()
        return not trouble

    def _done(self) -> bool:
        with self._state.transaction() as db:
            return self._wish(db)[1] in self._settled

    def _settle(self) -> str:
        """Ask, if there is something to ask; return why the answer is none."""
        with self._state.transaction() as db:
            pools, wish = self._wish(db)
            if wish in self._settled or not (pools or db.execute("SELECT 1 FROM turns").fetchone()):
                return ""  # nothing is new; or this host never had a network
            turn = _next_turn(db)
        answer = read_answer(self._controller.lease(self._state.instance, {"turn": turn, **wish}))
        with self._state.transaction() as db:
            if answer.turn > turn:
                _next_turn(db, answer.turn)
                return "it has heard more than this driver said: does another one use a copy of its state?"
            _remember(db, pools, answer)
        for block in sorted(set(answer.refused) - set(self._refused)):
            log.warning("%s is leased to another host, %s", block, answer.refused[block])
        self._refused, self._settled = answer.refused, (wish, _enough(pools, answer))
        return ""

    def _wish(self, db: sqlite3.Connection) -> tuple[list[Pool], Body]:
        """Return the pools and what is to be said of them; forget what is not said, before it comes back."""
        pools = [pool_of(str(uid)) for (uid,) in db.execute("SELECT id FROM pools ORDER BY id")]
        subnets = {pool.subnet for pool in pools}
        blocks = [b for b in _rows(db, claims=False) if any(_inside(b, pool.part) for pool in pools)]
        since = self._clock() - LINGER_S
        select = "SELECT pool, address FROM addresses WHERE holder NOT IN (?, ?)"
        select += " AND (released_at IS NULL OR released_at > ?)"
        held = [(str(p), str(a)) for p, a in db.execute(select, (GATEWAY, NOBODY, since))]
        needed = {ipaddress.ip_address(address) for pool, address in held if pool in map(str, subnets)}
        with self._waiting:
            needed |= set(self._pending)
        outside = [address for address in needed if not any(address in block for block in blocks)]
        claims = sorted((ipaddress.ip_network(address) for address in outside), key=_order)[:MAX_CLAIMS]
        kept = set(_rows(db, claims=True)) & set(claims)
        _write(db, blocks, kept)
        wanted = [{"part": str(pool.part), "want": _want(db, pool, blocks)} for pool in pools]
        said = {"pools": wanted, "blocks": [str(block) for block in blocks], "claims": [str(claim) for claim in claims]}
        return pools, said


def _enough(pools: Iterable[Pool], answer: Answer) -> Body:
    """Return the wish of a host that wants no more than it was answered."""
    wanted = [{"part": str(pool.part), "want": min(MAX_WANT, _total(pool, answer.blocks))} for pool in pools]
    blocks, claims = (sorted(have, key=_order) for have in (answer.blocks, answer.claims))
    return {"pools": wanted, "blocks": list(map(str, blocks)), "claims": list(map(str, claims))}


def read_answer(body: Body) -> Answer:
    """Return the controller's answer.

    Raises:
        Unreachable: it is none.
    """
    try:
        refused = {str(ipaddress.ip_network(r["block"])): str(r["holder"])[:80] for r in body.get("refused", ())}
        blocks, claims = (frozenset(map(ipaddress.ip_network, body[key])) for key in ("blocks", "claims"))
        return Answer(int(body["turn"]), blocks, claims, refused)
    except (KeyError, TypeError, ValueError) as error:
        raise Unreachable("the controller's answer about leases cannot be read: is it of this version?") from error


def _remember(db: sqlite3.Connection, pools: Iterable[Pool], answer: Answer) -> None:
    """Write down what is leased now. From a pool that was answered for, nothing else is chosen any more."""
    _write(db, answer.blocks, answer.claims)
    known = {str(uid) for (uid,) in db.execute("SELECT id FROM pools")}
    db.execute("DELETE FROM leased")
    db.executemany("INSERT INTO leased VALUES (?)", [(pool.uid,) for pool in pools if pool.uid in known])


def _write(db: sqlite3.Connection, blocks: Iterable[Subnet], claims: Iterable[Subnet]) -> None:
    db.execute("DELETE FROM leases")
    rows = [*((str(block), 0) for block in blocks), *((str(claim), 1) for claim in claims)]
    db.executemany("INSERT OR IGNORE INTO leases VALUES (?, ?)", rows)


def _rows(db: sqlite3.Connection, *, claims: bool) -> list[Subnet]:
    found = db.execute("SELECT block FROM leases WHERE claim = ?", (int(claims),))
    return sorted((ipaddress.ip_network(block) for (block,) in found), key=_order)


def _next_turn(db: sqlite3.Connection, heard: int = 0) -> int:
    """Count on, durably; return the new turn."""
    row = db.execute("SELECT turn FROM turns").fetchone()
    turn = max(int(row[0]) + 1 if row else 1, heard)
    db.execute("DELETE FROM turns")
    db.execute("INSERT INTO turns VALUES (?)", (turn,))
    return turn


def _ranges(pool: Pool, blocks: Iterable[Subnet]) -> list[tuple[int, int]]:
    """Return what of the blocks may be chosen: not the subnet's first address, which is the gateway everywhere."""
    first, last = pool.bounds
    subnet_first = Pool(pool.subnet, pool.subnet).bounds[0]
    if first == subnet_first and pool.subnet.num_addresses > 2:  # noqa: PLR2004 - as in `bounds`
        first += 1
    inside = [block for block in blocks if _inside(block, pool.part)]
    bounds = ((max(first, int(b.network_address)), min(last, int(b.broadcast_address))) for b in inside)
    return [(one, other) for one, other in bounds if one <= other]


def _want(db: sqlite3.Connection, pool: Pool, blocks: Iterable[Subnet]) -> int:
    """Return how many addresses to have in all, so that enough are free."""
    inside = [block for block in blocks if _inside(block, pool.part)]
    total, ranges = _total(pool, inside), _ranges(pool, inside)
    rows = db.execute("SELECT address FROM addresses WHERE pool = ?", (str(pool.subnet),))
    numbers = [int(ipaddress.ip_address(address)) for (address,) in rows]
    taken = sum(any(first <= number <= last for first, last in ranges) for number in numbers)
    free = sum(min(last - first + 1, MOST_COUNTED) for first, last in ranges) - taken
    ahead = min(AHEAD, max(1, pool.part.num_addresses // AHEAD_SHARE))
    return min(MAX_WANT, total + max(0, ahead - free))


def _total(pool: Pool, blocks: Iterable[Subnet]) -> int:
    return sum(min(block.num_addresses, MOST_COUNTED) for block in blocks if _inside(block, pool.part))


def _inside(block: Subnet, part: Subnet) -> bool:
    return (
        block.version == part.version
        and int(part.network_address) <= int(block.network_address)
        and int(block.broadcast_address) <= int(part.broadcast_address)
    )


def _order(block: Subnet) -> tuple[int, int]:
    return block.version, int(block.network_address)

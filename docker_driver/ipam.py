"""Addresses: libnetwork's IPAM driver over the state file.

A pool's id says what it is (`10.1.0.0/24`, or `10.1.0.0/24 10.1.0.128/25` with a part to choose from), so
a pool that dockerd remembers and we do not is no error. All calls may be repeated.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import sqlite3
import time
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Protocol

from docker_driver.errors import Refused
from docker_driver.state import State

GATEWAY = "gateway"
NOBODY = ""
"""Holder of an address that dockerd reserved again without saying for whom."""
UNUSED_S = 3600.0
"""A pool that was asked for and never used is forgotten after this."""
V4, V6 = 4, 6
_SUBNET = {V4: 24, V6: 64}

Address = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network


@dataclasses.dataclass(frozen=True, slots=True)
class Pool:
    """A subnet, and the part of it that addresses are chosen from."""

    subnet: Subnet
    part: Subnet

    @property
    def uid(self) -> str:
        """The pool's id."""
        return str(self.subnet) if self.part == self.subnet else f"{self.subnet} {self.part}"

    @property
    def bounds(self) -> tuple[int, int]:
        """First and last address that may be chosen, as numbers."""
        first, last = int(self.part.network_address), int(self.part.broadcast_address)
        if self.subnet.num_addresses > 2:  # noqa: PLR2004 - RFC 3021: a /31 has hosts only
            first = max(first, int(self.subnet.network_address) + 1)
        if self.subnet.version == V4 and self.subnet.num_addresses > 2:  # noqa: PLR2004 - as above
            last = min(last, int(self.subnet.broadcast_address) - 1)
        return first, last


def read_pool(subnet: str, part: str = "") -> Pool:
    """Return a pool from libnetwork's words.

    Raises:
        Refused: they are no subnets, or the part lies outside.
    """
    try:
        whole = ipaddress.ip_network(subnet)
        inner = ipaddress.ip_network(part) if part else whole
    except ValueError as error:
        raise Refused(f"{error}: write a subnet such as 10.1.0.0/24") from error
    inside = (
        inner.version == whole.version
        and int(whole.network_address) <= int(inner.network_address)
        and int(inner.broadcast_address) <= int(whole.broadcast_address)
    )
    if not inside:
        raise Refused(f"range {inner} is not inside subnet {whole}: correct --ip-range")
    return Pool(whole, inner)


class Lessor(Protocol):
    """Who leases addresses to this host; `docker_driver.leases.Leases` is one."""

    def wake(self) -> None:
        """Look whether enough is leased."""

    def meet(self, pool: Pool) -> None:
        """Have something of a pool leased, or find out why not; bounded in time."""

    def ranges(self, db: sqlite3.Connection, pool: Pool) -> list[tuple[int, int]] | None:
        """Return first and last addresses to choose from, as numbers; None: any. Raises Refused."""

    def claiming(self, pool: Pool, address: Address) -> contextlib.AbstractContextManager[None]:
        """Hold an address that was asked for by name while it is written down. Raises Refused."""

    def why_none(self) -> str:
        """Say why no more is leased."""


class Ipam:
    """The calls. Any thread may make them."""

    def __init__(
        self,
        state: State,
        pools: Iterable[str],
        rest_s: float,
        clock: Callable[[], float] = time.time,
        elsewhere: Callable[[], list[Subnet]] = list,
    ) -> None:
        """Keep addresses in `state`; choose subnets from `pools`; let released addresses rest.

        `elsewhere` returns the subnets that the host has routes to: none that overlaps one is chosen.
        """
        self._state = state
        self._pools = tuple(ipaddress.ip_network(pool) for pool in pools)
        self._rest_s = rest_s
        self._clock = clock
        self._elsewhere = elsewhere
        self.lessor: Lessor | None = None
        """Who leases addresses to this host; without, all of a pool is its own."""

    # -- pools ---------------------------------------------------------------------------------

    def request_pool(self, subnet: str, part: str, *, v6: bool) -> Pool:
        """Return the pool asked for, or one that overlaps no other.

        Raises:
            Refused: it overlaps another one, or none is free.
        """
        if part and not subnet:
            raise Refused("--ip-range needs --subnet")
        wanted = read_pool(subnet, part) if subnet else None
        if wanted is not None and (wanted.subnet.version == V6) != v6:
            raise Refused(f"{wanted.subnet} is of the other IP version")
        now = self._clock()
        with self._state.transaction() as db:
            self._forget_unused(db, now)
            taken = [pool_of(str(uid)) for (uid,) in db.execute("SELECT id FROM pools")]
            pool = wanted or self._choose(taken, v6=v6)
            _refuse_overlap(pool, taken)
            db.execute("INSERT OR IGNORE INTO pools VALUES (?, '', ?)", (pool.uid, now))
        if self.lessor is not None:
            self.lessor.meet(pool)
        return pool

    def release_pool(self, uid: str) -> None:
        """Forget a pool of which no address is held."""
        with self._state.transaction() as db:
            held = "SELECT 1 FROM addresses WHERE pool = ? AND released_at IS NULL"
            if db.execute(held, (str(pool_of(uid).subnet),)).fetchone() is None:
                db.execute("DELETE FROM pools WHERE id = ?", (uid,))
        if self.lessor is not None:
            self.lessor.wake()

    def _choose(self, taken: list[Pool], *, v6: bool) -> Pool:
        used = [*(pool.subnet for pool in taken), *self._elsewhere()]
        for block in self._pools:
            if (block.version == V6) == v6:
                for subnet in block.subnets(new_prefix=_SUBNET[block.version]):
                    if not any(_overlap(subnet, other) for other in used):
                        return Pool(subnet, subnet)
        raise Refused("no subnet is free: give one with --subnet, or widen `pools` in the driver's configuration")

    def _forget_unused(self, db: sqlite3.Connection, now: float) -> None:
        """Forget pools whose answer never arrived."""
        old = db.execute("SELECT id FROM pools WHERE asked_at < ?", (now - UNUSED_S,)).fetchall()
        for (uid,) in old:
            used = db.execute("SELECT 1 FROM addresses WHERE pool = ?", (str(pool_of(uid).subnet),)).fetchone()
            if used is None:
                db.execute("DELETE FROM pools WHERE id = ?", (uid,))

    # -- addresses -----------------------------------------------------------------------------

    def request_address(self, uid: str, address: str, holder: str) -> str:
        """Return an address with its prefix length; `holder` is a MAC, `gateway`, or nobody.

        Raises:
            Refused: the address is no host's of the pool or held by another, or none is free.
        """
        pool, now = pool_of(uid), self._clock()
        with self._allowed(pool, address, holder), self._state.transaction() as db:
            db.execute("INSERT OR IGNORE INTO pools VALUES (?, '', ?)", (pool.uid, now))
            key = str(pool.subnet)
            db.execute("DELETE FROM addresses WHERE pool = ? AND released_at < ?", (key, now - self._rest_s))
            given = self._static(db, pool, address, holder) if address else self._automatic(db, pool, holder)
            # Who held it keeps it: after its restart dockerd reserves for running containers without saying whose.
            insert = (
                "INSERT INTO addresses VALUES (?, ?, ?, NULL) ON CONFLICT DO UPDATE SET holder = ?, released_at = NULL"
            )
            insert += " WHERE released_at IS NOT NULL OR holder = ''"
            db.execute(insert, (key, str(given), holder, holder))
        if self.lessor is not None:
            self.lessor.wake()
        return f"{given}/{pool.subnet.prefixlen}"

    def _allowed(self, pool: Pool, text: str, holder: str) -> contextlib.AbstractContextManager[None]:
        """Hold an address that is asked for by name for an endpoint. Gateways are the same on every host."""
        if self.lessor is None or holder == GATEWAY or (text and holder == NOBODY):
            return contextlib.nullcontext()
        with self._state.transaction() as db:
            db.execute("INSERT OR IGNORE INTO pools VALUES (?, '', ?)", (pool.uid, self._clock()))
        if text:
            return self.lessor.claiming(pool, _host(pool, text))
        self.lessor.meet(pool)  # one that dockerd remembers and we do not
        return contextlib.nullcontext()

    def release_address(self, uid: str, address: str) -> None:
        """Let an address rest; that nobody holds it is no error."""
        key, text = str(pool_of(uid).subnet), str(_address(address))
        with self._state.transaction() as db:
            release = "UPDATE addresses SET released_at = ? WHERE pool = ? AND address = ? AND released_at IS NULL"
            db.execute(release, (self._clock(), key, text))

    def held(self) -> list[tuple[str, str, str]]:
        """Return pool, address and MAC of every address that an endpoint should have."""
        select = "SELECT pool, address, holder FROM addresses WHERE released_at IS NULL AND holder NOT IN (?, ?)"
        with self._state.transaction() as db:
            return [(str(p), str(a), str(h)) for p, a, h in db.execute(select, (GATEWAY, NOBODY))]

    def _static(self, db: sqlite3.Connection, pool: Pool, text: str, holder: str) -> Address:
        """Give the address asked for. It need not rest: whoever asks for it by name knows what it was."""
        address = _host(pool, text)
        select = "SELECT holder FROM addresses WHERE pool = ? AND address = ? AND released_at IS NULL"
        held = db.execute(select, (str(pool.subnet), str(address))).fetchone()
        if held is not None and holder != NOBODY:
            if held[0] not in {NOBODY, holder}:
                raise Refused(f"{address} is in use by {held[0]}: choose another, or remove that one first")
            self._refuse_worn(pool, address)
        return address

    def _refuse_worn(self, pool: Pool, address: Address) -> None:
        """Refuse an address that an endpoint has: whoever asks is another one, with the same MAC."""
        text = f"{address}/{pool.subnet.prefixlen}"
        for endpoint in self._state.endpoints().values():
            if text in endpoint.addresses:
                raise Refused(f"{address} is in use by {endpoint.mac}: choose another address and MAC")

    def _automatic(self, db: sqlite3.Connection, pool: Pool, holder: str) -> Address:
        key, kind = str(pool.subnet), type(pool.subnet.network_address)
        if holder != NOBODY:
            select = "SELECT address FROM addresses WHERE pool = ? AND holder = ? AND released_at IS NULL"
            again = db.execute(select, (key, holder)).fetchone()
            if again is not None:
                self._refuse_worn(pool, kind(again[0]))
                return kind(again[0])
        taken = {int(kind(a)) for (a,) in db.execute("SELECT address FROM addresses WHERE pool = ?", (key,))}
        leased = None if self.lessor is None or holder == GATEWAY else self.lessor.ranges(db, pool)
        ranges = [pool.bounds] if leased is None else leased
        cursor = db.execute("SELECT cursor FROM pools WHERE id = ?", (pool.uid,)).fetchone()[0]
        start = int(kind(cursor)) + 1 if cursor else 0
        after = ((max(first, start), last) for first, last in ranges)
        before = ((first, min(last, start - 1)) for first, last in ranges)
        found = (_free(taken, first, last) for first, last in (*after, *before))
        chosen = next((number for number in found if number is not None), None)
        if chosen is None:
            why = "use a larger one" if leased is None or self.lessor is None else self.lessor.why_none()
            raise Refused(f"no address of {pool.part} is free; released ones rest {self._rest_s:g} s: {why}")
        db.execute("UPDATE pools SET cursor = ? WHERE id = ?", (str(kind(chosen)), pool.uid))
        return kind(chosen)


def _free(taken: set[int], first: int, last: int) -> int | None:
    """Return the first number that is not taken; at most one step more than there are taken ones."""
    number = first
    while number in taken:
        number += 1
    return number if number <= last else None


def _refuse_overlap(pool: Pool, taken: list[Pool]) -> None:
    for other in taken:
        if other.subnet != pool.subnet and _overlap(other.subnet, pool.subnet):
            raise Refused(f"{pool.subnet} overlaps {other.subnet} of another network: choose another subnet")


def _host(pool: Pool, text: str) -> Address:
    """Return a host's address of a pool's subnet. Raises Refused."""
    address = _address(text)
    first, last = Pool(pool.subnet, pool.subnet).bounds
    if address.version != pool.subnet.version or not first <= int(address) <= last:
        raise Refused(f"{address} is no host's address in {pool.subnet}: choose another")
    return address


def _overlap(one: Subnet, other: Subnet) -> bool:
    if one.version != other.version:
        return False
    return int(one.network_address) <= int(other.broadcast_address) and int(other.network_address) <= int(
        one.broadcast_address
    )


def pool_of(uid: str) -> Pool:
    """Return the pool of an id. Raises Refused."""
    subnet, _, part = uid.partition(" ")
    return read_pool(subnet, part)


def _address(text: str) -> Address:
    try:
        return ipaddress.ip_address(text.partition("/")[0])
    except ValueError as error:
        raise Refused(f"{text[:80]!r} is no IP address") from error

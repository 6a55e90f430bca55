"""What the driver must not forget: networks, endpoints and addresses, in one SQLite file.

A call is answered only after its change is in the file; a killed driver loses nothing it answered for.
(A power cut may lose the last moments, and takes the containers along.)
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS networks (id TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS endpoints (id TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pools (id TEXT PRIMARY KEY, cursor TEXT NOT NULL, asked_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS addresses (
    pool TEXT NOT NULL, address TEXT NOT NULL, holder TEXT NOT NULL, released_at REAL,
    PRIMARY KEY (pool, address)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS self (instance TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS leases (block TEXT PRIMARY KEY, claim INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leased (pool TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS turns (turn INTEGER NOT NULL);
"""
VERSION = 3
"""2: networks know their gateways, endpoints what they publish. 3: what the controller leased.
An older driver's file is read as it is."""


class StateError(Exception):
    """The state cannot be used; the message says why and what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Network:
    """A Docker network of ours."""

    uid: str
    name: str = ""
    """Ringfence network; empty until the Engine told us the Docker network's name."""
    subnets: tuple[str, ...] = ()
    mtu: int = 1500
    gateways: tuple[str, ...] = ()
    """Without prefix length, at most one of each IP version; none for an `--internal` network."""


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Published:
    """A port of the host that leads to one of a container (`-p`)."""

    protocol: str
    """tcp, udp or sctp."""
    host_address: str
    """Empty: every address of the host."""
    host_port: int
    port: int


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoint:
    """An attachment of a container to a network."""

    uid: str
    network: str
    """Docker network id."""
    mac: str
    addresses: tuple[str, ...]
    """With prefix lengths, as libnetwork gives them."""
    exposed: tuple[tuple[int, int], ...] = ()
    """(IP protocol, port)."""
    made_at: float = 0.0
    joined: bool = False
    published: tuple[Published, ...] = ()


class State:
    """The file. Every method is one transaction; any thread may call."""

    def __init__(self, directory: Path) -> None:
        """Open it, and lock out every other driver on it.

        Raises:
            StateError: it is locked, damaged, or from a newer driver.
        """
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock_file = (directory / "lock").open("w")
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateError(f"another driver uses {directory}: stop it, or set state_dir") from error
        except OSError as error:
            raise StateError(f"{directory}: {error.strerror} (set state_dir to a directory of the driver's)") from error
        self._lock = threading.RLock()
        self._db = _open(directory / "docker.db")
        self.instance = _instance(self._db)
        """Eight hex digits that tell this driver from those of other hosts."""

    def close(self) -> None:
        """Close it and let others in."""
        with self._lock:
            self._db.close()
            self._lock_file.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Do several things at once, or none."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    # -- networks and endpoints ----------------------------------------------------------------

    def networks(self) -> dict[str, Network]:
        """Return all networks by id."""
        return {uid: _network(uid, value) for uid, value in self._rows("networks")}

    def network(self, uid: str) -> Network | None:
        """Return one network."""
        value = self._row("networks", uid)
        return None if value is None else _network(uid, value)

    def put_network(self, network: Network) -> None:
        """Write a network."""
        self._put("networks", network.uid, dataclasses.asdict(network))

    def endpoints(self) -> dict[str, Endpoint]:
        """Return all endpoints by id."""
        return {uid: _endpoint(uid, value) for uid, value in self._rows("endpoints")}

    def publishing(self) -> list[Endpoint]:
        """Return the endpoints that publish ports: few of many, so only they are read."""
        select = "SELECT id, value FROM endpoints WHERE instr(value, '\"host_port\"') ORDER BY id"
        with self._lock:
            return [_endpoint(uid, value) for uid, value in self._db.execute(select).fetchall()]

    def endpoint(self, uid: str) -> Endpoint | None:
        """Return one endpoint."""
        value = self._row("endpoints", uid)
        return None if value is None else _endpoint(uid, value)

    def put_endpoint(self, endpoint: Endpoint) -> None:
        """Write an endpoint."""
        self._put("endpoints", endpoint.uid, dataclasses.asdict(endpoint))

    def drop(self, table: str, uid: str) -> None:
        """Forget a network or an endpoint (`table` is `networks` or `endpoints`)."""
        with self.transaction() as db:
            db.execute(f"DELETE FROM {_known(table)} WHERE id = ?", (uid,))  # noqa: S608 - one of two words

    def _rows(self, table: str) -> list[tuple[str, str]]:
        with self._lock:
            return self._db.execute(f"SELECT id, value FROM {_known(table)} ORDER BY id").fetchall()  # noqa: S608 - as above

    def _row(self, table: str, uid: str) -> str | None:
        with self._lock:
            found = self._db.execute(f"SELECT value FROM {_known(table)} WHERE id = ?", (uid,)).fetchone()  # noqa: S608 - as above
        return None if found is None else str(found[0])

    def _put(self, table: str, uid: str, value: dict[str, Any]) -> None:
        text = json.dumps({key: item for key, item in value.items() if key != "uid"})
        with self.transaction() as db:
            db.execute(f"INSERT OR REPLACE INTO {_known(table)} VALUES (?, ?)", (uid, text))  # noqa: S608 - as above


def _known(table: str) -> str:
    if table not in {"networks", "endpoints"}:
        raise ValueError(table)
    return table


def _open(path: Path) -> sqlite3.Connection:
    try:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
        db.execute("PRAGMA journal_mode = WAL")
        # Without a sync at each commit: what a killed process wrote stays; only a power cut may take it.
        db.execute("PRAGMA synchronous = NORMAL")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise StateError(f"{path} was written by a newer driver (version {version}): run that one")
        db.executescript(f"{_SCHEMA} PRAGMA user_version = {VERSION};")
    except sqlite3.Error as error:
        raise StateError(f"{path}: {error} (move it away; networks are read again from the Engine)") from error
    return db


def _instance(db: sqlite3.Connection) -> str:
    db.execute("INSERT INTO self SELECT ? WHERE NOT EXISTS (SELECT 1 FROM self)", (secrets.token_hex(4),))
    return str(db.execute("SELECT instance FROM self").fetchone()[0])


def _network(uid: str, text: str) -> Network:
    value = json.loads(text)
    subnets, gateways = tuple(value["subnets"]), tuple(value.get("gateways", ()))
    return Network(uid, value["name"], subnets, value["mtu"], gateways)


def _endpoint(uid: str, text: str) -> Endpoint:
    value = json.loads(text)
    exposed = tuple((protocol, port) for protocol, port in value["exposed"])
    published = tuple(Published(**one) for one in value.get("published", ()))
    read = {"addresses": tuple(value["addresses"]), "exposed": exposed, "published": published}
    return Endpoint(uid, **{**value, **read})

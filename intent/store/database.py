"""The SQLite file under the store: opened, checked, migrated; transactions that are durable when they end.

WAL with synchronous=FULL: COMMIT returns after the log is on disk (https://www.sqlite.org/pragma.html#pragma_synchronous).
With NORMAL it is in the log, which outlives this process, and is on disk with the next FULL one.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from intent.schema.changes import StoreUnavailableError
from intent.store.errors import StoreCorrupt, StoreError, StoreTooNew
from intent.store.files import make_private, sync_directory

APPLICATION_ID = 0x52494E47
"""`RING`: marks the file as ours (https://www.sqlite.org/fileformat.html, offset 68)."""

_FIRST_SCHEMA = (
    """CREATE TABLE documents (
        kind TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (kind, name)) WITHOUT ROWID""",
    """CREATE TABLE revisions (
        number INTEGER PRIMARY KEY, at TEXT NOT NULL, author TEXT NOT NULL, message TEXT NOT NULL)""",
    """CREATE TABLE changes (
        revision INTEGER NOT NULL REFERENCES revisions (number), kind TEXT NOT NULL, name TEXT NOT NULL,
        before TEXT, after TEXT, PRIMARY KEY (revision, kind, name)) WITHOUT ROWID""",
    "CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    *(
        f"CREATE TRIGGER {table}_{verb} BEFORE {verb} ON {table} BEGIN SELECT RAISE(ABORT, 'append-only'); END"
        for table in ("revisions", "changes")
        for verb in ("update", "delete")
    ),
)
MIGRATIONS: Sequence[Sequence[str]] = (_FIRST_SCHEMA,)
"""Statements that bring a file from version i to i + 1; never edited once released, only added to."""


def open_database(path: Path) -> sqlite3.Connection:
    """Open the file, new or not, at the newest schema version, with mode 0600 (SQLite gives its side files the same).

    Raises:
        StoreCorrupt, StoreTooNew: with the remedy.
        StoreError: the file cannot be made, opened or written.
    """
    is_new = not os.path.lexists(path)
    if path.is_file() and path.stat().st_size == 0:  # what we leave is never empty, and SQLite would begin anew
        raise StoreCorrupt(f"{path} is empty: {_REMEDY}")
    try:
        make_private(path)
        connection = _prepared(path)
        sync_directory(path.parent)
    except BaseException:
        if is_new:
            path.unlink(missing_ok=True)
        raise
    return connection


def _prepared(path: Path) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=2)
    except sqlite3.Error as error:
        raise unusable(path, error) from error
    try:
        _check(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection)
    except sqlite3.Error as error:
        connection.close()
        raise unusable(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def unusable(path: Path, error: sqlite3.Error) -> StoreError:
    """Return why a store does not open: the disk's fault, after which all is there, is not the file's."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DISK:
        return StoreError(f"{path} cannot be used ({error}): free disk space, check the disk and who may write to it")
    return StoreCorrupt(f"{path} cannot be read ({error}): {_REMEDY}")


_DISK = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)
_REMEDY = "restore it from a backup, or move it away to start empty"


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse what is damaged, a stranger's, or newer than this program."""
    version, owner, tables = (
        int(connection.execute(query).fetchone()[0])
        for query in ("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_master")
    )
    if tables and owner != APPLICATION_ID:
        raise StoreCorrupt(f"{path} is a database of another program: choose another path")
    if version > len(MIGRATIONS):
        known = len(MIGRATIONS)
        raise StoreTooNew(f"{path} has schema version {version}, this program knows {known}: install a newer Ringfence")
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise StoreCorrupt(f"{path} is damaged ({found}): {_REMEDY}")


def _migrate(connection: sqlite3.Connection) -> None:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
        with transaction(connection):
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {number}")


@contextmanager
def transaction(connection: sqlite3.Connection, *, synced: bool = True) -> Iterator[None]:
    """Run statements that become durable together when the block ends, or not at all.

    Args:
        connection: of `open_database`, in no transaction.
        synced: False leaves it to the next transaction to make them durable.

    Raises:
        StoreUnavailableError: SQLite could not write; nothing changed.
    """
    try:
        connection.execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("COMMIT")
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        _roll_back(connection)
        raise
    except sqlite3.DatabaseError as error:  # also one that was damaged while it was open
        _roll_back(connection)
        raise StoreUnavailableError(
            f"the store cannot be written ({error}): free disk space, check the disk"
        ) from error
    except BaseException:
        _roll_back(connection)
        raise


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        with suppress(sqlite3.OperationalError):  # SQLite rolled back by itself, as it does after some errors
            connection.execute("ROLLBACK")

"""Files nobody else reads: the instance lock, the bearer token, and how a private file comes to be."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import stat
from pathlib import Path

from intent.store.errors import StoreError, StoreLocked

PRIVATE = 0o600
_PRIVATE_DIRECTORY = 0o700
_MAX_PID_DIGITS = 20
_TOKEN_BYTES = 32
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,256}")


def make_private(path: Path) -> None:
    """Make a file (and its directory) exist with mode 0600 before anything is written to it.

    Raises:
        StoreError: it is no regular file, or cannot be made.
    """
    try:
        path.parent.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}: choose a state directory that this user can write") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise StoreError(f"{path} is no regular file: remove it, or choose another state directory")
        os.fchmod(descriptor, PRIVATE)
    finally:
        os.close(descriptor)


def sync_directory(directory: Path) -> None:
    """Make the names of new files in a directory durable.

    Raises:
        StoreError: the disk says no.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unwritten(directory, error) from error


def _unwritten(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{path}: {error.strerror}: free disk space, check the disk and who may write to it")


class InstanceLock:
    """An exclusive flock on a file beside the store, held until `release` or the end of the process.

    The kernel drops it when the holder dies, however it dies; the pid in the file is only for people.
    """

    def __init__(self, path: Path) -> None:
        make_private(path)
        self._descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = self._holder()
            os.close(self._descriptor)
            raise StoreLocked(path, holder) from None
        with contextlib.suppress(OSError):  # no space: the lock holds all the same
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def _holder(self) -> int | None:
        text = os.pread(self._descriptor, _MAX_PID_DIGITS, 0).strip()
        return int(text) if text.isdigit() else None

    def release(self) -> None:
        """Let another instance have it. The file stays: to remove it would race with who opens it."""
        os.close(self._descriptor)


def ensure_token(path: Path) -> str:
    """Return the bearer token in a file, made at the first start with mode 0600.

    Raises:
        StoreError: the file holds no token, others can read it, or it cannot be made.
    """
    try:
        if not os.path.lexists(path):
            _create_token(path)
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise _unwritten(path, error) from error
    try:
        if os.fstat(descriptor).st_mode & 0o077:
            raise StoreError(f"{path}: others can read the token: delete the file (a new one is made), or chmod 600 it")
        token = os.read(descriptor, 1024).decode("ascii", "replace").strip()
    finally:
        os.close(descriptor)
    if not _TOKEN.fullmatch(token):
        raise StoreError(f"{path} holds no token: delete the file, a new one is made at the next start")
    return token


def _create_token(path: Path) -> None:
    """Write it aside and link it, so that a token file is never half written."""
    aside = path.with_name(f"{path.name}.{os.getpid()}.new")
    aside.unlink(missing_ok=True)
    make_private(aside)
    try:
        with aside.open("w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(_TOKEN_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(aside, path)
    except FileExistsError:  # another instance was first: its token holds
        return
    finally:
        aside.unlink(missing_ok=True)
        sync_directory(path.parent)

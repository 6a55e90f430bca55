"""Why a store does not open."""

from __future__ import annotations

from pathlib import Path


class StoreError(Exception):
    """The store cannot be used. The text names the file and the remedy."""


class StoreLocked(StoreError):
    """Another instance holds the store."""

    def __init__(self, path: Path, pid: int | None) -> None:
        holder = "another process" if pid is None else f"process {pid}"
        super().__init__(f"{path} is in use by {holder}: stop that instance first, or use another state directory")
        self.pid = pid


class StoreCorrupt(StoreError):
    """The file is damaged, or no store of Ringfence."""


class StoreTooNew(StoreError):
    """A later version of Ringfence wrote the file."""

"""Durable documents, revisions and controller state in one SQLite file, held by one instance at a time."""

from intent.store.errors import StoreCorrupt, StoreError, StoreLocked, StoreTooNew
from intent.store.files import ensure_token
from intent.store.repository import Store

__all__ = ["Store", "StoreCorrupt", "StoreError", "StoreLocked", "StoreTooNew", "ensure_token"]

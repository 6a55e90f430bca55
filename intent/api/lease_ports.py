"""What the API needs to lease addresses, as a protocol."""

from __future__ import annotations

from typing import Protocol

from intent.api.plug_refused import PlugRefused
from intent.leasing import Book, Settled, Wish


class LeasePort(Protocol):
    """The book of leases."""

    def book(self) -> Book:
        """Return what everybody has."""

    def settle(self, holder: str, wish: Wish) -> Settled:
        """Give a holder what it wishes, as far as it can be; durable on return. Raises PlugRefused."""

    def forget(self, holder: str) -> bool:
        """Take back all of a holder that is gone; true if it had anything. Raises PlugRefused."""


class NoLeases:
    """For a server without a book: refuses."""

    def book(self) -> Book:
        """Return none."""
        return {}

    def settle(self, holder: str, wish: Wish) -> Settled:
        """Refuse."""
        del wish
        raise PlugRefused(f"holder {holder}: this server leases no addresses", "ask the controller", passing=False)

    def forget(self, holder: str) -> bool:
        """Refuse."""
        raise PlugRefused(f"holder {holder}: this server leases no addresses", "ask the controller", passing=False)

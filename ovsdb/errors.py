"""What can go wrong with OVSDB; every message names the place and the remedy."""

from __future__ import annotations


class OvsdbError(Exception):
    """Base of all errors of this package."""


class BadTarget(OvsdbError):
    """A target string or its TLS files cannot be used."""


class ConnectionLost(OvsdbError):
    """The connection could not be made, broke, or did not answer in time."""


class ProtocolError(OvsdbError):
    """The server said something that RFC 7047 does not allow, or too much of it."""


class TransactionError(OvsdbError):
    """The server refused a transaction; nothing of it was done."""

    def __init__(self, error: str, details: str) -> None:
        super().__init__(f"OVSDB refused the transaction: {error}: {details}" if details else f"OVSDB: {error}")
        self.error = error
        """Error name of RFC 7047 section 3.1, such as `timed out` for a `wait` that does not hold."""


class EnsureError(OvsdbError):
    """What was asked for cannot be, or may not be done; nothing was changed unless the message says so."""

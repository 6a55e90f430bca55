"""One long-lived OVSDB connection for a peer's databases: transactions, and waiting as `--wait=hv` does."""

from __future__ import annotations

import itertools
import json
import select
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

Operation: TypeAlias = dict[str, Any]
"""One operation of a transaction (RFC 7047, 5.2)."""

TIMEOUT_S = 180
"""OVN needs a minute for the largest build here."""


class OvsdbError(RuntimeError):
    """The server refused a transaction."""


class OvsdbLink:
    """A JSON-RPC connection to one database on a unix socket."""

    def __init__(self, path: Path, database: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(TIMEOUT_S)
        self._socket.connect(str(path))
        self._database = database
        self._decoder = json.JSONDecoder()
        self._text = ""
        self._ids = itertools.count(1)
        self.updates: list[dict[str, Any]] = []
        """Update notifications that nobody has looked at."""

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def call(self, method: str, *params: object) -> Any:  # noqa: ANN401 - JSON
        """Return the result of a request; updates that come before it are kept."""
        number = next(self._ids)
        self._say({"method": method, "params": params, "id": number})
        while True:
            message = self._receive()
            if message.get("id") == number:
                if message["error"] is not None:
                    raise OvsdbError(str(message["error"]))
                return message["result"]
            self._take(message)

    def transact(self, operations: Sequence[Operation]) -> list[dict[str, Any]]:
        """Run a transaction; return the result of each operation.

        Raises:
            OvsdbError: one of them failed, so none is done.
        """
        results: list[dict[str, Any]] = self.call("transact", self._database, *operations)
        for at, result in enumerate(results):
            if result and "error" in result:
                operation = operations[at] if at < len(operations) else "the commit"
                raise OvsdbError(f"{result}: {str(operation)[:500]}")
        return results

    def next_update(self, timeout_s: float) -> dict[str, Any] | None:
        """Return the next update notification: table -> row uuid -> old and new; None when none began to come."""
        while not self.updates:
            if not self._text and not select.select([self._socket], [], [], timeout_s)[0]:
                return None
            self._take(self._receive())
        return self.updates.pop(0)

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("method") == "update":
            self.updates.append(message["params"][1])
        elif message.get("method") == "echo":
            self._say({"result": message["params"], "error": None, "id": message["id"]})

    def _say(self, message: dict[str, Any]) -> None:
        self._socket.sendall(json.dumps(message).encode())

    def _receive(self) -> dict[str, Any]:
        while True:
            try:
                message, end = self._decoder.raw_decode(self._text)
            except ValueError:  # not all of it yet
                received = self._socket.recv(1 << 20)
                if not received:
                    raise ConnectionError(f"the server of {self._database} closed the connection") from None
                self._text += received.decode()
                continue
            self._text = self._text[end:].lstrip()
            found: dict[str, Any] = message
            return found

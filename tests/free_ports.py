"""Ports for servers that are told theirs before they listen."""

from __future__ import annotations

import os
import socket

BEGIN, END = 20_000, 32_000
"""Below what kernels give to clients, so that nobody takes one by chance before the server does."""
_taken: set[int] = set()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on, and that was not returned before.

    Processes begin to look at places of their own.
    """
    first = BEGIN + os.getpid() * 61 % (END - BEGIN)
    for port in (*range(first, END), *range(BEGIN, first)):
        if port in _taken:
            continue
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        _taken.add(port)
        return port
    raise OSError(f"every port from {BEGIN} to {END - 1} is in use")

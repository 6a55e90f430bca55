"""Signals that end the controller, under eventlet."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable

import eventlet
from eventlet import hubs


def on_signals(stop: Callable[[], None]) -> None:
    """Call `stop` once, in a green thread, on SIGTERM or SIGINT.

    A signal does not end the hub's poll by itself, so Python is told to write a byte that does.
    """
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)

    def wait() -> None:
        with writer:  # kept open as long as somebody reads
            hubs.trampoline(reader, read=True)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)  # who asks twice means it
        stop()

    eventlet.spawn(wait)

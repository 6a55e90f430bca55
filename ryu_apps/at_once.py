"""Waiting without letting others run, briefly, where nobody else could run anyway.

A green thread that waits goes through eventlet's hub, and comes back a tenth of a millisecond after what it waited
for. Open vSwitch does not wait so long for the second half of a conversation (`bundle`), and a little plan does not
take much longer itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import eventlet
from eventlet import hubs, patcher, tpool
from eventlet.greenio import GreenSocket

_select: Any = patcher.original("select")
_socket: Any = patcher.original("socket")
_thread: Any = patcher.original("_thread")
_threading: Any = patcher.original("threading")
_queue: Any = patcher.original("queue")

BRIEF_S = 0.002
"""Longest wait for a computation in which nobody else runs."""
T = TypeVar("T")


def others_wait() -> bool:
    """Return whether another green thread could run now, those whose sockets have something aside."""
    hub = hubs.get_hub()
    now = hub.clock()
    soon = hub.timers[0][0] <= now if hub.timers else False
    return soon or any(at <= now and not timer.called for at, timer in hub.next_timers)


def let_others() -> None:
    """Let those run who can."""
    eventlet.sleep(0)


def received(sock: Any, most: int, seconds: float) -> bytes:  # noqa: ANN401 - a green socket
    """Return what a socket has, at most so many bytes, or gets within so many seconds, in which nobody else runs.

    Nothing if nothing came, if the connection ended, and where TLS is between: who waits for the socket finds out.
    """
    if type(sock) is not GreenSocket:
        return b""
    poll = _select.poll()
    try:
        poll.register(sock.fd, _select.POLLIN)
        return sock.fd.recv(most, _socket.MSG_DONTWAIT) if poll.poll(seconds * 1000) else b""
    except (OSError, ValueError):
        return b""


class _Task(Generic[T]):
    """Something to compute, and what came of it."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._result: T
        self._error: BaseException | None = None
        self.done = _thread.allocate_lock()
        """Free once it is."""
        self.done.acquire()

    def run(self) -> None:
        """Compute it; whatever goes wrong is whoever's who asked."""
        try:
            self._result = self._function()
        except BaseException as error:  # noqa: BLE001 - raised again where it was asked for
            self._error = error
        finally:
            self.done.release()

    def result(self) -> T:
        """Return what it returned, or raise what it raised."""
        if self._error is not None:
            raise self._error
        return self._result


class Aside:
    """A thread of the system's that computes, one thing after the other, while green threads go on."""

    def __init__(self) -> None:
        self._tasks = _queue.SimpleQueue()
        self._started = False

    def run(self, function: Callable[[], T]) -> T:
        """Return what a function returns that takes no green lock; others run meanwhile, unless it is brief."""
        if not self._started:
            self._started = True
            _threading.Thread(target=self._serve, name="aside", daemon=True).start()
        task = _Task(function)
        self._tasks.put(task)
        if others_wait() or not task.done.acquire(timeout=BRIEF_S):
            tpool.execute(task.done.acquire)
        return task.result()

    def _serve(self) -> None:
        while True:
            self._tasks.get().run()

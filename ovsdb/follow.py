"""The monitor of one host over all its connections: resumes where the server offers it, else begins anew.

`monitor_cond_since` (ovsdb-server(7), 4.1.13) says what happened since a transaction we name. A server that
does not know that transaction any more sends everything, and one that does not know the method is asked
with `monitor_cond`: both mean a new copy, so that whatever is not told is gone.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ovsdb.errors import ConnectionLost, ProtocolError
from ovsdb.mirror import MONITOR_REQUESTS, Mirror
from ovsdb.session import DATABASE, Limits, Reply, Session
from topology.events import Event

MONITOR_ID = "ringfence"
NEVER = "00000000-0000-0000-0000-000000000000"
"""Stands for no transaction at all."""
_TRANSACTION = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Follow:
    """Survives connections; its methods are called on the reader's thread, in the order the server spoke."""

    def __init__(self, host: str, limits: Limits, emit: Callable[[Event], None]) -> None:
        self._host = host
        self._limits = limits
        self._emit = emit
        self._mirror: Mirror | None = None
        """None when what we hold is not to be trusted."""
        self._last = NEVER
        self.synced = False
        """The present connection has told the complete state."""
        self.resumed = 0
        """Connections that went on where the one before had ended."""

    def begin(self, session: Session) -> None:
        """Ask a new connection for what we miss."""
        self.synced = False
        last = self._last if self._mirror is not None else NEVER
        since = [DATABASE, MONITOR_ID, MONITOR_REQUESTS, last]
        session.request("monitor_cond_since", since, lambda reply: self._take_since(session, reply))

    def notice(self, method: str, params: object) -> None:
        """Take a notification.

        Raises:
            ProtocolError, ConnectionLost: the connection is of no use any more.
        """
        match method, params:
            case "update3", [str(name), str(last), tables] if name == MONITOR_ID and self.synced:
                self._change(tables)
                self._remember(last)
            case "update2", [str(name), tables] if name == MONITOR_ID and self.synced:
                self._change(tables)
            case (("update2" | "update3"), _):
                self._mirror = None
                raise ProtocolError(f"{self._host}: an update for a monitor that is not ours")
            case "monitor_canceled", _:
                self._mirror = None
                raise ConnectionLost(f"{self._host}: the server ended the monitor; its database changed")

    def _take_since(self, session: Session, reply: Reply) -> None:
        if isinstance(reply.failure, ProtocolError) and "unknown method" in str(reply.failure):
            session.request("monitor_cond", [DATABASE, MONITOR_ID, MONITOR_REQUESTS], self._take_all)
            return
        self._check(reply)
        match reply:
            case Reply(result=[bool(found), str(last), tables], failure=None):
                self._resume(tables) if found else self._anew(tables)
                self._remember(last)
            case Reply(failure=None):
                raise ProtocolError(f"{self._host}: the answer to the monitor request is not of its form")

    def _take_all(self, reply: Reply) -> None:
        self._check(reply)
        if reply.failure is None:
            self._anew(reply.result)

    def _check(self, reply: Reply) -> None:
        if isinstance(reply.failure, ProtocolError):
            raise ProtocolError(f"{reply.failure}; is {DATABASE} served there by OVS 2.6 or later?")

    def _anew(self, tables: object) -> None:
        self._mirror, self._last = None, NEVER
        mirror = Mirror(self._host, self._limits)
        event = mirror.resync(tables)
        self._mirror = mirror
        self._emit(event)
        self.synced = True

    def _resume(self, tables: object) -> None:
        mirror, self._mirror = self._mirror, None
        if mirror is None:
            raise ProtocolError(f"{self._host}: resumes what was never begun")
        mirror.change(tables)
        self._mirror = mirror
        self._emit(mirror.whole())
        self.resumed += 1
        self.synced = True

    def _change(self, tables: object) -> None:
        """Apply one transaction; a copy that it does not fit is given up."""
        mirror, self._mirror = self._mirror, None
        if mirror is None:
            raise ProtocolError(f"{self._host}: a change of nothing")
        event = mirror.change(tables)
        self._emit(event)
        self._mirror = mirror

    def _remember(self, last: str) -> None:
        if not _TRANSACTION.fullmatch(last):
            raise ProtocolError(f"{self._host}: a transaction is named {last[:60]!r}")
        self._last = last

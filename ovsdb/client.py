"""Keep one OVSDB server connected and monitored, whatever it does; tell its state as events."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from ovsdb.errors import ConnectionLost, OvsdbError
from ovsdb.follow import Follow
from ovsdb.session import DEFAULT_LIMITS, Limits, Operation, Result, Session
from ovsdb.source import Dial, Source
from ovsdb.stream import Stream
from ovsdb.target import Tls
from topology.events import Event, HostLost, HostResynced

_log = logging.getLogger("ringfence.ovsdb")

_MAX_LOGGED = 8


class Client:
    """A connection that comes back by itself.

    `sink` gets the events of this host, in order, on the client's own thread; it must not block
    and must not call `transact`. After each connect comes a `HostResynced` with the complete state,
    after each loss one `HostLost`. The host's name in events is the target as given; with a `source`
    of connections it is whatever that source answers for.

    Raises:
        BadTarget: at construction, for a target that cannot be right.
    """

    def __init__(
        self,
        target: str,
        sink: Callable[[Event], None],
        *,
        tls: Tls | None = None,
        limits: Limits = DEFAULT_LIMITS,
        source: Source | None = None,
    ) -> None:
        self.host = target
        self._source: Source = source or Dial(target, tls, limits.connect_timeout_s)
        self._sink = sink
        self._limits = limits
        self._stopped = threading.Event()
        self._session: Session | None = None
        self._follow = Follow(target, limits, self._emit)
        self._thread = threading.Thread(target=self._keep_connected, name=f"ovsdb {target}", daemon=True)
        self._reason: str | None = None
        """Why we are not connected; None while we are."""
        self._logged: set[str] = set()
        self._delay_s = limits.backoff_first_s

    def start(self) -> None:
        """Connect, and stay connected until `stop`."""
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """End the connection and the thread; no event comes after this returns."""
        self._stopped.set()
        self._source.close()
        self.drop()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def drop(self) -> None:
        """End the present connection, if there is one; the next is made as after any loss."""
        session = self._session
        if session is not None:
            session.close()

    @property
    def resumed(self) -> int:
        """Connections that went on where the one before had ended, without asking for everything."""
        return self._follow.resumed

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._session is not None

    def alive(self, timeout_s: float) -> bool:
        """Whether the server answers an echo on the present connection within a time."""
        session = self._session
        if session is None:
            return False
        try:
            session.call("echo", [], timeout_s=timeout_s)
        except OvsdbError:
            return False
        return True

    def transact(self, operations: Sequence[Operation], *, timeout_s: float | None = None) -> list[Result]:
        """Run one transaction on the present connection; see `ovsdb.session.Transactor`."""
        session = self._session
        if session is None:
            raise ConnectionLost(f"{self.host}: not connected: {self._reason or 'still connecting'}")
        return session.transact(operations, timeout_s=timeout_s)

    def _keep_connected(self) -> None:
        while not self._stopped.is_set():
            began_at = time.monotonic()
            reason = self._serve()
            if self._stopped.is_set():
                return
            self._lose(reason)
            if time.monotonic() - began_at > self._limits.backoff_cap_s:
                self._delay_s = self._limits.backoff_first_s  # it was a good connection, not one that breaks at once
            self._stopped.wait(self._delay_s)
            self._delay_s = min(2 * self._delay_s, self._limits.backoff_cap_s)

    def _serve(self) -> str:
        """Serve one connection to its end; return why it ended."""
        try:
            stream = Stream(self._source.open(), self.host)
            try:
                self._monitor(stream)
            finally:
                self._session = None
                stream.close()
        except OvsdbError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 the sink's fault or ours: connect again, so that the state is whole
            _log.exception("OVSDB %s: an event could not be handled; connecting again", self.host)
            return f"an event could not be handled: {error}"
        return "the connection ended"

    def _monitor(self, stream: Stream) -> None:
        session = Session(stream, self.host, self._limits, self._follow.notice)
        late = threading.Timer(self._limits.sync_timeout_s, self._expire, (session,))
        late.daemon = True
        late.start()
        try:
            self._follow.begin(session)
            self._session = session
            if self._stopped.is_set():
                return
            session.run()
        finally:
            late.cancel()

    def _expire(self, session: Session) -> None:
        """End a connection whose server lives but never tells its state."""
        if not self._follow.synced:
            _log.warning("OVSDB %s: the server does not answer the monitor request", self.host)
            session.close()

    def _lose(self, reason: str) -> None:
        """Tell a loss once, and log each reason once, until all is well again."""
        if reason not in self._logged and len(self._logged) < _MAX_LOGGED:
            self._logged.add(reason)
            _log.warning("OVSDB %s", reason if reason.startswith(self.host) else f"{self.host}: {reason}")
        first, self._reason = self._reason is None, reason
        if first:
            self._emit(HostLost(self.host, reason))

    def _emit(self, event: Event) -> None:
        if self._stopped.is_set():
            return
        self._sink(event)
        if isinstance(event, HostResynced):
            self._reason = None
            self._logged.clear()
            _log.info("OVSDB %s: connected, %d rows", self.host, len(event.rows))

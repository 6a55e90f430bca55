"""One JSON-RPC 1.0 connection to an OVSDB server (RFC 7047, section 4)."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, TypeAlias

from ovsdb.errors import ConnectionLost, OvsdbError, ProtocolError, TransactionError
from ovsdb.framing import Splitter, encode
from ovsdb.stream import Stream
from ovsdb.target import Tls, connect, parse_target

DATABASE = "Open_vSwitch"

Operation: TypeAlias = Mapping[str, object]
"""One operation of a transaction (RFC 7047, section 5.2)."""
Result: TypeAlias = Mapping[str, object]


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What we accept from a server, and how long we wait for it."""

    message_bytes: int = 32 << 20
    """One message; 10,000 interfaces take about 10 MiB."""
    rows: int = 200_000
    state_chars: int = 128 << 20
    """Text in all monitored rows together."""
    connect_timeout_s: float = 5.0
    call_timeout_s: float = 10.0
    sync_timeout_s: float = 30.0
    """From connect to the complete state."""
    probe_s: float = 5.0
    """Silence after which we ask for a sign of life; twice that ends the connection."""
    backoff_first_s: float = 0.1
    backoff_cap_s: float = 5.0
    calls: int = 256
    """Calls under way at once."""


DEFAULT_LIMITS = Limits()


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a call; exactly one of the two says something, `failure` when there was no answer."""

    result: object = None
    failure: OvsdbError | None = None


class Transactor(Protocol):
    """Who can run a transaction: a `Session`, or a `Client` that keeps one."""

    def transact(self, operations: Sequence[Operation], *, timeout_s: float | None = None) -> list[Result]:
        """Run one transaction; return one result an operation.

        Raises:
            TransactionError: the server refused it; nothing was done.
            ConnectionLost: not connected, or no answer: it may or may not have been done.
        """


class Session:
    """A connection. One thread calls `run`; any thread may call `call` and `transact`."""

    def __init__(
        self, stream: Stream, name: str, limits: Limits, on_notice: Callable[[str, object], None] | None = None
    ) -> None:
        self.name = name
        self._stream = stream
        self._limits = limits
        self._on_notice = on_notice or (lambda _method, _params: None)
        self._ids = itertools.count(1)
        self._pending: dict[int, Callable[[Reply], None]] = {}
        self._lock = threading.Lock()
        self._ended: OvsdbError | None = None

    def run(self) -> None:
        """Read until the connection ends, then fail every call under way.

        Raises:
            ConnectionLost, ProtocolError: why it ended.
        """
        try:
            self._read()
        except OvsdbError as error:
            self._end(error)
            raise
        finally:
            self._end(ConnectionLost(f"{self.name}: the connection ended"))
            self._stream.close()

    def close(self) -> None:
        """End the connection from any thread."""
        self._stream.shut()

    def request(self, method: str, params: Sequence[object], on_reply: Callable[[Reply], None]) -> int:
        """Send a request; `on_reply` runs once, on the reader's thread. Return the request's id."""
        number = next(self._ids)
        with self._lock:
            if self._ended is not None:
                raise ConnectionLost(str(self._ended))
            if len(self._pending) >= self._limits.calls:
                raise ConnectionLost(f"{self.name}: {self._limits.calls} calls are under way; try again later")
            self._pending[number] = on_reply
        try:
            self._send({"method": method, "params": list(params), "id": number})
        except ConnectionLost:
            self._forget(number)
            raise
        return number

    def call(self, method: str, params: Sequence[object], *, timeout_s: float | None = None) -> object:
        """Send a request and wait for its result; never on the reader's thread.

        Raises:
            ConnectionLost: no answer in time, or no connection any more.
            ProtocolError: the server answered with an error.
        """
        answers: list[Reply] = []
        answered = threading.Event()

        def keep(reply: Reply) -> None:
            answers.append(reply)
            answered.set()

        timeout_s = self._limits.call_timeout_s if timeout_s is None else timeout_s
        number = self.request(method, params, keep)
        if not answered.wait(timeout_s):
            self._forget(number)
            raise ConnectionLost(f"{self.name}: no answer to {method} within {timeout_s:g} s")
        if answers[0].failure is not None:
            raise answers[0].failure
        return answers[0].result

    def transact(self, operations: Sequence[Operation], *, timeout_s: float | None = None) -> list[Result]:
        """Run one transaction; see `Transactor`."""
        result = self.call("transact", [DATABASE, *operations], timeout_s=timeout_s)
        return _transaction_results(result, len(operations))

    def _read(self) -> None:
        splitter = Splitter(self._limits.message_bytes)
        probing = False
        while True:
            data = self._stream.recv(self._limits.probe_s)
            if data is None:
                if probing:
                    raise ConnectionLost(f"{self.name}: silent for {2 * self._limits.probe_s:g} s")
                self._send({"method": "echo", "params": [], "id": "echo"})
            else:
                for message in splitter.feed(data):
                    self._dispatch(message)
            probing = data is None

    def _dispatch(self, message: Mapping[str, object]) -> None:
        method, number = message.get("method"), message.get("id")
        if method is None:
            self._take_reply(number, message)
        elif not isinstance(method, str):
            raise ProtocolError(f"{self.name}: a method that is no string")
        elif number is None:
            self._on_notice(method, message.get("params"))
        elif method == "echo":
            self._send({"result": message.get("params"), "error": None, "id": number})
        else:
            self._send({"result": None, "error": "unknown method", "id": number})

    def _take_reply(self, number: object, message: Mapping[str, object]) -> None:
        """Give a reply to who waits for it; one that nobody awaits any more came too late."""
        on_reply = self._forget(number) if type(number) is int else None
        if on_reply is None:
            return
        error = message.get("error")
        if error is None:
            on_reply(Reply(message.get("result")))
        else:
            on_reply(Reply(failure=ProtocolError(f"{self.name}: the server answered with error {_brief(error)}")))

    def _send(self, message: dict[str, object]) -> None:
        self._stream.send(encode(message), self._limits.call_timeout_s)

    def _forget(self, number: int) -> Callable[[Reply], None] | None:
        with self._lock:
            return self._pending.pop(number, None)

    def _end(self, error: OvsdbError) -> None:
        with self._lock:
            self._ended = self._ended or error
            waiting, self._pending = self._pending, {}
        for on_reply in waiting.values():
            on_reply(Reply(failure=ConnectionLost(str(error))))


@contextlib.contextmanager
def open_session(target: str, tls: Tls | None = None, limits: Limits = DEFAULT_LIMITS) -> Iterator[Session]:
    """Open a connection for a few transactions, with a reader thread of its own.

    Raises:
        BadTarget, ConnectionLost: it cannot be opened.
    """
    stream = Stream(connect(parse_target(target), tls, limits.connect_timeout_s), target)
    session = Session(stream, target, limits)
    reader = threading.Thread(target=_run_quietly, args=(session,), name=f"ovsdb {target}", daemon=True)
    reader.start()
    try:
        yield session
    finally:
        session.close()
        reader.join(limits.call_timeout_s)


def _run_quietly(session: Session) -> None:
    """Why it ended is told to each call under way and to each later one."""
    with contextlib.suppress(OvsdbError):
        session.run()


def _transaction_results(result: object, expected: int) -> list[Result]:
    """Check the results of a transaction (RFC 7047, section 4.1.3): errors may stand at any place, or after all."""
    if not isinstance(result, list) or not all(entry is None or isinstance(entry, dict) for entry in result):
        raise ProtocolError("the result of a transaction must be a list of objects")
    for entry in result:
        if entry and isinstance(entry.get("error"), str):
            raise TransactionError(entry["error"], _brief(entry.get("details") or ""))
    if len(result) != expected or None in result:
        raise ProtocolError(f"a transaction of {expected} operations has {len(result)} results")
    return result


def _brief(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text[:500]

"""A switch that speaks OpenFlow 1.4 to the letter and can be told to misbehave.

It keeps flows as bytes, by (table, priority, match), so it shares nothing with the codec under test but
the specification. It is a `Link`: what it answers is fed to its session by a thread of its own.
"""

from __future__ import annotations

import queue
import struct
import threading
import time
from collections.abc import Callable

HEADER = struct.Struct("!BBHI")
FLOW_MOD = struct.Struct("!QQBBHHHIIIHH")
ADD, DELETE, DELETE_STRICT = 0, 3, 4
MASTER, SLAVE = 2, 3
MAX_REPLY = 60_000


def message(kind: int, xid: int, body: bytes = b"") -> bytes:
    return HEADER.pack(5, kind, 8 + len(body), xid) + body


class FakeSwitch:
    """One connection to one switch; `tables` outlives it when handed to the next."""

    peer = "fake"
    names: tuple[str, ...] = ()

    def __init__(self, tables: dict[tuple[int, int, bytes], tuple[int, int, bytes]] | None = None) -> None:
        self.tables = {} if tables is None else tables
        """(table, priority, match with padding) -> (cookie, hard timeout, instructions)."""
        self.generation = 0
        self.role = 1
        self.meters: dict[int, int] = {}
        """Rate by number."""
        self.messages: list[int] = []
        """Kinds of the messages received."""
        self.flow_mods = 0
        self.refuse: Callable[[int, bytes], tuple[int, int] | None] = lambda _count, _body: None
        """Given the number of a flow-mod and its body: the error to answer, or None."""
        self.deaf_to: set[int] = set()
        """Kinds that are not answered (and not acted on)."""
        self.die_at_flow_mod: int | None = None
        self.shut_reason = ""
        self.sink: Callable[[bytes], None] = lambda _frame: None
        self.on_gone: Callable[[], None] = lambda: None
        self._bundles: dict[int, list[bytes]] = {}
        self.committed: list[int] = []
        """Messages of each bundle that was committed."""
        self._inbox: queue.Queue[bytes | None] = queue.Queue()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    # -- Link ----------------------------------------------------------------------------------

    def write(self, data: bytes) -> bool:
        if self.shut_reason:
            return False
        self._inbox.put(bytes(data))
        return True

    def listen(self, seconds: float) -> bool:
        return False

    def shut(self, reason: str) -> None:
        if not self.shut_reason:
            self.shut_reason = reason
            self._inbox.put(None)

    def alive(self, timeout_s: float) -> bool:
        return not self.shut_reason

    # -- the switch ----------------------------------------------------------------------------

    def plug(self, sink: Callable[[bytes], None], on_gone: Callable[[], None]) -> None:
        self.sink, self.on_gone = sink, on_gone
        self._thread.start()

    def _serve(self) -> None:
        while (data := self._inbox.get()) is not None:
            while data and not self.shut_reason:
                size = HEADER.unpack_from(data)[2]
                self._handle(data[:size])
                data = data[size:]
        self.on_gone()

    def _handle(self, frame: bytes) -> None:
        _, kind, _, xid = HEADER.unpack_from(frame)
        self.messages.append(kind)
        if kind in self.deaf_to or kind == 13:  # a packet-out has no answer
            return
        handler = {18: self._multipart, 20: self._barrier, 24: self._role, 29: self._meter_mod}
        handler |= {33: self._bundle_control, 34: self._add}
        handler[kind](xid, frame[8:])

    def _error(self, xid: int, kind: int, code: int) -> None:
        self.sink(message(1, xid, struct.pack("!HH", kind, code)))

    def _barrier(self, xid: int, _body: bytes) -> None:
        self.sink(message(21, xid))

    def _role(self, xid: int, body: bytes) -> None:
        role, generation = struct.unpack("!I4xQ", body)
        if generation < self.generation:
            self._error(xid, 11, 0)
            return
        self.role, self.generation = role, generation
        self.sink(message(25, xid, body))

    def demote(self, generation: int) -> None:
        """Another controller became master."""
        self.role, self.generation = SLAVE, generation
        self.sink(message(30, 0, struct.pack("!IB3xQ", SLAVE, 0, generation)))

    def _multipart(self, xid: int, body: bytes) -> None:
        (kind,) = struct.unpack_from("!H", body)
        if kind == 10:  # meter configuration
            specs = (self._meter_config(number, rate) for number, rate in sorted(self.meters.items()))
            self.sink(message(19, xid, struct.pack("!HH4x", 10, 0) + b"".join(specs)))
            return
        assert kind == 1, "only flow statistics and meters"
        part = b""
        for (table, priority, match), (cookie, hard, instructions) in list(self.tables.items()):
            size = 48 + len(match) + len(instructions)
            head = struct.pack("!HBxIIHHHHH2xQQQ", size, table, 1, 0, priority, 0, hard, 0, 0, cookie, 0, 0)
            if len(part) + size > MAX_REPLY:
                self.sink(message(19, xid, struct.pack("!HH4x", 1, 1) + part))
                part = b""
            part += head + match + instructions
        self.sink(message(19, xid, struct.pack("!HH4x", 1, 0) + part))

    @staticmethod
    def _meter_config(number: int, rate: int) -> bytes:
        return struct.pack("!HHI", 24, 14, number) + struct.pack("!HHII4x", 1, 16, rate, rate)

    def _meter_mod(self, _xid: int, body: bytes) -> None:
        command, _flags, number = struct.unpack_from("!HHI", body)
        if command == 2:
            self.meters.pop(number, None)
        else:
            self.meters[number] = struct.unpack_from("!I", body, 12)[0]

    def _bundle_control(self, xid: int, body: bytes) -> None:
        bundle_id, step, flags = struct.unpack("!IHH", body)
        if self.role == SLAVE:
            self._error(xid, 1, 10)
            return
        if step in {0, 6}:
            self._bundles[bundle_id] = []
        elif step == 4:
            messages = self._bundles.pop(bundle_id)
            self.committed.append(len(messages))
            for inner in messages:
                self._apply(inner)
        self.sink(message(33, xid, struct.pack("!IHH", bundle_id, step + 1, flags)))

    def _add(self, xid: int, body: bytes) -> None:
        inner = body[8:]
        assert HEADER.unpack_from(inner)[3] == xid, "a bundled message has the xid of its envelope"
        self.flow_mods += 1
        if self.die_at_flow_mod == self.flow_mods:
            self.shut("died in the middle of a bundle")
            return
        error = (1, 10) if self.role == SLAVE else self.refuse(self.flow_mods, inner)
        if error:
            self._error(xid, *error)
            return
        self._bundles.setdefault(int.from_bytes(body[:4]), []).append(inner)

    def _apply(self, frame: bytes) -> None:
        cookie, _, table, command, _, hard, priority, *_ = FLOW_MOD.unpack_from(frame, 8)
        rest = frame[8 + FLOW_MOD.size :]
        size = (struct.unpack_from("!H", rest, 2)[0] + 7) // 8 * 8
        key = (table, priority, rest[:size])
        if command == ADD:
            self.tables[key] = (cookie, hard, rest[size:])
        elif command == DELETE_STRICT:
            self.tables.pop(key, None)
        else:
            raise AssertionError(f"flow-mod command {command} is never sent")


def until(done: Callable[[], bool], timeout_s: float = 60.0) -> bool:
    """Wait until something is true; return whether it became so."""
    give_up_at = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.005)
    return True

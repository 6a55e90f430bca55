"""A session with a real bridge over its management socket, without Ryu and eventlet."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

from ryu_apps import frames, wire
from ryu_apps.session import Session


class PlainLink:
    """Connects, shakes hands, and feeds a session from a thread. A context manager."""

    names = ()

    def __init__(self, management: Path) -> None:
        self.peer = str(management)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(self.peer)
        self.session: Session | None = None
        self._frames: list[bytes] = []
        self._buffer = bytearray()

    def __enter__(self) -> Session:
        self.write(wire.hello(1) + wire.features_request(2))
        dpid = 0
        while not dpid:
            for frame in self._receive():
                if frame[1] == wire.Kind.FEATURES_REPLY:
                    dpid = wire.decode_features(frame).dpid
        self.session = Session(self, dpid, {})
        threading.Thread(target=self._serve, args=(self.session,), daemon=True).start()
        return self.session

    def __exit__(self, *_: object) -> None:
        self.shut("done")

    def write(self, data: bytes) -> bool:
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True

    def listen(self, _seconds: float) -> bool:
        return False

    def shut(self, _reason: str) -> None:
        self.socket.close()

    def alive(self, _timeout_s: float) -> bool:
        return True

    def _receive(self) -> list[bytes]:
        data = self.socket.recv(1 << 16)
        if not data:
            raise OSError("closed")
        self._buffer += data
        found: list[bytes] = []
        while more := frames.split(self._buffer):
            found += more
        for frame in found:
            frames.check(frame)
        return found

    def _serve(self, session: Session) -> None:
        try:
            while True:
                for frame in self._receive():
                    if frame[1] == wire.Kind.ECHO_REQUEST:
                        self.write(wire.echo_reply(int.from_bytes(frame[4:8], "big"), frame[8:]))
                    else:
                        session.feed(frame)
        except OSError:
            session.close()

"""What switches show us unasked: packets to learn from, and packets whose senders are to be told "no"."""

from __future__ import annotations

import collections
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeAlias

from intent.compiler import cookie
from intent.compiler.cookie import Kind
from intent.compiler.flow import Output
from ryu_apps import refusal, wire
from ryu_apps.logs import Limited
from ryu_apps.session import Session
from ryu_apps.wire import PacketIn, WireError

log = logging.getLogger("ringfence.unasked")
BATCH = 64
"""Messages looked at before others get a turn."""

Handler: TypeAlias = Callable[[Session, PacketIn], None]


def tell_sender(session: Session, packet: PacketIn) -> None:
    """Answer the packet that a reject rule refused, straight out of the port it came from."""
    answer = refusal.answer(packet.data)
    if answer is not None:
        session.send_packet((Output(packet.in_port),), answer)


class Unasked:
    """One thread that empties the sessions' queues, and hands each packet to whom its flow's cookie names."""

    def __init__(self, handlers: Mapping[Kind, Handler]) -> None:
        self._handlers = handlers
        self._limited = Limited(log)
        self._waiting: collections.OrderedDict[Session, None] = collections.OrderedDict()
        self._woken = threading.Event()
        self.stopped = False

    def came(self, session: Session) -> None:
        """Note that a session has something; never blocks."""
        self._waiting[session] = None
        self._woken.set()

    def stop(self) -> None:
        """End the thread soon."""
        self.stopped = True
        self._woken.set()

    def run(self) -> None:
        """Hand on until stopped."""
        while not self.stopped:
            self._woken.wait()
            self._woken.clear()
            while self._waiting and not self.stopped:
                session, _ = self._waiting.popitem(last=False)
                self._some(session)
                time.sleep(0)  # a chatty switch must not starve the others

    def _some(self, session: Session) -> None:
        for _ in range(BATCH):
            if not session.unasked:
                return
            self._look(session, session.unasked.popleft())
        self._waiting[session] = None

    def _look(self, session: Session, frame: bytes) -> None:
        if frame[1] != wire.Kind.PACKET_IN:
            return
        try:
            packet = wire.decode_packet_in(frame)
        except WireError as error:
            self._limited.warning(f"{session.dpid:016x}", "%016x: %s", session.dpid, error)
            return
        origin = cookie.decode(packet.cookie)
        handler = self._handlers.get(origin.kind) if origin else None
        if handler is not None:
            handler(session, packet)

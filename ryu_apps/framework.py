"""The one module that imports Ryu: listener, connections, application base.

Ryu does the OpenFlow handshake (Hello, features, port descriptions). Its `Datapath` is replaced by
one that checks every frame before any parser sees it, answers echoes itself, and hands the messages
this project decodes itself to the `Switchboard`, past Ryu's parsers.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any

from ryu_apps import eventlet_hook

eventlet_hook.install()  # before the first import of Ryu

import eventlet  # noqa: E402
from eventlet.greenio import GreenSocket  # noqa: E402
from ryu import cfg  # noqa: E402
from ryu.base import app_manager  # noqa: E402
from ryu.controller import controller, handler, ofp_handler  # noqa: E402
from ryu.lib import hub  # noqa: E402
from ryu.ofproto import ofproto_parser, ofproto_v1_4  # noqa: E402

from ryu_apps import at_once, frames  # noqa: E402
from ryu_apps.certificates import certificate_names, context  # noqa: E402
from ryu_apps.link import Listen, Refused, Switchboard, TlsFiles  # noqa: E402
from ryu_apps.logs import Limited  # noqa: E402
from ryu_apps.wire import WireError, is_flow_stats  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger("ringfence.openflow")
limited = Limited(log)

HELLO, ECHO_REQUEST, ECHO_REPLY, FEATURES_REPLY, MULTIPART_REPLY = 0, 2, 3, 6, 19
RYU_TYPES = frozenset({HELLO, FEATURES_REPLY})
"""Messages that Ryu decodes; port descriptions are the one multipart kind that it decodes too."""
OFPMP_PORT_DESC = 13
VERSION = 5
"""OpenFlow 1.4 on the wire."""

MAX_CONNECTIONS = 2048
HANDSHAKE_S = 10.0
SEND_S = 10.0
"""Longest wait for room in the send queue before the connection counts as dead."""
ECHO_INTERVAL_S = 5.0
SILENCE_S = 15.0
"""A connection that says nothing for so long, echoes included, is closed."""
LATE_S = 2.0
"""Who looks once a second and comes so late was kept from running by others here: nobody listened meanwhile."""
READ_BYTES = 1 << 16
LITTLE_BYTES = 1 << 12
"""Read while others wait."""
GREET_S = 0.25
"""A peer that says nothing for so long is greeted first. Mininet's `RemoteController` looks by telnet whether anybody
listens, and hangs for ever over byte 1 in what it is told, which any Hello with its versions has."""
PREFIX = b"\x05\x03"
"""Version and type of an echo reply; length, xid and body are the request's."""

_board: Switchboard | None = None
_server: Server | None = None
bad_frames: dict[str, int] = {}
"""Connections closed for a bad frame, by the peer's host; at most MAX_CONNECTIONS hosts."""


class Connection(controller.Datapath):  # type: ignore[misc] # Ryu has no types
    """A switch's connection. Implements `Link`."""

    names: tuple[str, ...] = ()
    heard_at = 0.0
    ready = False
    shut_reason = ""

    def __init__(self, sock: Any, address: Any) -> None:  # noqa: ANN401 - a green socket
        self.opened_at = self.heard_at = time.monotonic()
        super().__init__(sock, address)
        self.xid = 0
        self._heard = bytearray()
        self._taking = self._greeted = False
        self.peer = f"{address[0]}:{address[1]}" if isinstance(address, tuple) and address else "local"

    # -- Link ----------------------------------------------------------------------------------

    def write(self, data: bytes) -> bool:
        """Queue whole messages."""
        return self.send(memoryview(data))

    def shut(self, reason: str) -> None:
        """Close at once."""
        if not self.shut_reason:
            self.shut_reason = reason
            self.close()

    def alive(self, timeout_s: float) -> bool:
        """Ask for an echo; return whether anything came back in time."""
        asked_at = time.monotonic()
        self.write(bytes((VERSION, ECHO_REQUEST, 0, 8, 0, 0, 0, 1)))
        while time.monotonic() - asked_at < timeout_s and self.state != handler.DEAD_DISPATCHER:
            hub.sleep(0.02)
            if self.heard_at > asked_at:
                return True
        return False

    def listen(self, seconds: float) -> bool:
        """Take what comes within so many seconds at the instant it comes, if nobody else could run meanwhile."""
        if at_once.others_wait():
            at_once.let_others()
            return True
        if self._taking or not self.ready:
            return False
        chunk = at_once.received(self.socket, LITTLE_BYTES, seconds)
        with self._judged():
            whole = self._whole(chunk) if chunk else []
            while whole:
                self._take_all(whole)
                whole = frames.split(self._heard)
        return bool(chunk)

    # -- what of Ryu's connection is replaced ----------------------------------------------------

    def serve(self) -> None:
        """Talk to the peer until the connection ends."""
        aside = [hub.spawn(self._send_loop), hub.spawn(self._echo_request_loop), hub.spawn_after(GREET_S, self._greet)]
        try:
            self._recv_loop()
        finally:
            for thread in aside:
                hub.kill(thread)
            hub.joinall(aside)
            self.is_active = False

    def _greet(self) -> None:
        if not self._greeted:
            self._greeted = True
            self.send_msg(self.ofproto_parser.OFPHello(self))

    def send(self, buf: bytes | memoryview, close_socket: bool = False) -> bool:  # noqa: FBT001, FBT002 - Ryu's signature
        """Send bytes now or, behind others, queue them; a peer that does not read for SEND_S is cut off."""
        if not close_socket and (sent := self._sent_at_once(buf)):
            if sent == len(buf):
                return True
            buf = memoryview(buf)[sent:]
        if not self._send_q_sem.acquire(timeout=SEND_S):
            self.shut("it does not read what is sent")
            return False
        if self.send_q is None or self.state == handler.DEAD_DISPATCHER:
            self._send_q_sem.release()
            return False
        self.send_q.put((buf, close_socket))
        return True

    def _sent_at_once(self, buf: bytes | memoryview) -> int:
        """Send what the socket takes without waiting, if nothing is to go before it; return how many bytes went."""
        waiting, ours = self.send_q, type(self.socket) is GreenSocket  # TLS may have to wait for the peer
        if waiting is None or waiting.qsize() or not waiting.getters or not ours:
            return 0
        try:
            return int(self.socket.fd.send(buf, socket.MSG_DONTWAIT))
        except OSError:  # full, or broken: who sends what is queued finds out
            return 0

    def close(self) -> None:
        """Cut the connection both ways, so that a blocked receive loop wakes."""
        self.set_state(handler.DEAD_DISPATCHER)
        with contextlib.suppress(OSError, ValueError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def _recv_loop(self) -> None:
        try:
            with self._judged():
                self._receive()
        finally:
            self.close()
            with contextlib.suppress(OSError):
                self.socket.close()

    @contextlib.contextmanager
    def _judged(self) -> Iterator[None]:
        """Close the connection over a message that must not be taken."""
        try:
            yield
        except (frames.BadFrame, WireError) as error:
            self.close()
            host = _host(self.peer)
            if host in bad_frames or len(bad_frames) < MAX_CONNECTIONS:
                bad_frames[host] = bad_frames.get(host, 0) + 1
            limited.warning(f"frame {host}", "%s: closed for a malformed frame: %s", self.peer, error)
        except Refused as error:
            self.close()
            limited.warning(f"refused {_host(self.peer)}", "%s: refused: %s", self.peer, error)
        except BaseException:
            self.close()  # what was not taken is lost, whoever read it: the connection must not go on without it
            raise

    def _receive(self) -> None:
        while self.state != handler.DEAD_DISPATCHER:
            chunk = self._read()
            if chunk is None:
                continue
            if not chunk:
                return
            whole = self._whole(chunk)
            while whole:
                self._take_all(whole)
                hub.sleep(0)  # a switch that never stops talking must not starve the others
                whole = frames.split(self._heard)

    def _whole(self, chunk: bytes) -> list[bytes]:
        """Return the first whole messages of what came, and keep the rest."""
        self.heard_at = time.monotonic()
        self._greet()
        self._heard += chunk
        return frames.split(self._heard)

    def _take_all(self, whole: list[bytes]) -> None:
        self._taking = True
        try:
            for frame in whole:
                if self.state == handler.DEAD_DISPATCHER:
                    return
                (frames.check_version if self.ready and is_flow_stats(frame) else frames.check)(frame)
                self._take(frame)
        finally:
            self._taking = False

    def _read(self) -> bytes | None:
        """Return bytes, nothing at the end, None when none came yet."""
        try:
            data: bytes = self.socket.recv(READ_BYTES)
        except TimeoutError:
            return None
        except ssl.SSLError as error:
            return None if "timed out" in str(error) else b""
        except (OSError, EOFError):
            return b""
        return data

    def _take(self, frame: bytes) -> None:
        kind = frame[1]
        if kind == ECHO_REQUEST:
            self.send(PREFIX + frame[2:])
        elif kind == ECHO_REPLY:
            return
        elif kind in RYU_TYPES or _is_port_desc(frame):
            self._to_ryu(frame)
        if self.ready and kind not in {HELLO, FEATURES_REPLY, ECHO_REQUEST} and _board is not None:
            _board.frame(self, frame)

    def _to_ryu(self, frame: bytes) -> None:
        """Let Ryu decode and handle a message of the handshake."""
        if frame[1] == FEATURES_REPLY and self.state == handler.CONFIG_DISPATCHER and _board is not None:
            _board.admit(self, int.from_bytes(frame[8:16], "big"), frame[21])
        version, kind, length, xid = ofproto_parser.header(frame)
        try:
            message = ofproto_parser.msg(self, version, kind, length, xid, frame)
            event = controller.ofp_event.ofp_msg_to_ev(message)
            for handle in self.ofp_brick.get_handlers(event, self.state):
                handle(event)
        except Exception as error:
            # Ryu's parsers raise whatever they like on a frame they do not expect.
            raise frames.BadFrame(f"Ryu cannot read type {kind}: {error!r:.200}") from error
        if self.state == handler.MAIN_DISPATCHER and not self.ready:
            self._become_ready()

    def _become_ready(self) -> None:
        self.ready = True
        ports = {number: port.name.decode(errors="replace") for number, port in self.ports.items()}
        if _board is not None:
            _board.ready(self, self.id, ports)

    def _echo_request_loop(self) -> None:
        """Keep the connection alive; close one that is silent or does not finish its handshake."""
        looked_at = listening_since = time.monotonic()
        while self.state != handler.DEAD_DISPATCHER:
            hub.sleep(1.0)
            now = time.monotonic()
            listening_since = now if now - looked_at > LATE_S else listening_since
            looked_at, heard_at = now, max(self.heard_at, listening_since)
            if not self.ready and now - max(self.opened_at, listening_since) > HANDSHAKE_S:
                self.shut(f"no handshake in {HANDSHAKE_S:.0f} s")
            elif now - heard_at > SILENCE_S:
                self.shut(f"silent for {SILENCE_S:.0f} s")
            elif now - heard_at > ECHO_INTERVAL_S:
                self.write(bytes((VERSION, ECHO_REQUEST, 0, 8, 0, 0, 0, 0)))


def _host(peer: str) -> str:
    return peer.rsplit(":", 1)[0]


def _is_port_desc(frame: bytes) -> bool:
    return frame[1] == MULTIPART_REPLY and int.from_bytes(frame[8:10], "big") == OFPMP_PORT_DESC


# -- listening ---------------------------------------------------------------------------------


class Server:
    """Accepts switches. The socket is bound when it is made, so that an address in use is found early."""

    def __init__(self, listen: Listen) -> None:
        """Bind.

        Raises:
            OSError: the address cannot be had, or a TLS file cannot be read.
        """
        self.context = context(listen.tls) if listen.tls else None
        family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
        # Not shared: a second instance is to find out that there is one.
        self.socket = eventlet.listen((listen.host, listen.port), family=family, backlog=256, reuse_port=False)
        self.connections: set[Any] = set()

    def __call__(self) -> None:
        """Accept for ever."""
        while True:
            try:
                sock, address = self.socket.accept()
            except OSError as error:
                limited.warning("accept", "cannot accept a switch: %s", error)
                hub.sleep(0.1)
                continue
            if len(self.connections) >= MAX_CONNECTIONS:
                limited.warning("full", "refused %s: %d connections are open", address, MAX_CONNECTIONS)
                sock.close()
                continue
            self.connections.add(hub.spawn(self._serve, sock, address))

    def _serve(self, sock: Any, address: Any) -> None:  # noqa: ANN401 - a green socket
        try:
            names: tuple[str, ...] = ()
            if self.context:
                sock = self._handshake(self.context, sock)
                names = certificate_names(sock.getpeercert() or {})
            connection = Connection(sock, address)
            connection.names = names
            _run(connection)
        except (OSError, hub.Timeout) as error:
            limited.warning(f"broken {address[0]}", "%s:%s: connection broken: %s", *address[:2], error)
        finally:
            sock.close()
            self.connections.discard(eventlet.getcurrent())

    @staticmethod
    def _handshake(context: ssl.SSLContext, sock: Any) -> Any:  # noqa: ANN401 - green sockets
        with hub.Timeout(HANDSHAKE_S):
            return context.wrap_socket(sock, server_side=True)

    def stop(self) -> None:
        """Close the socket and every connection; the switches keep their flows."""
        self.socket.close()
        for thread in list(self.connections):
            hub.kill(thread)


def _run(connection: Connection) -> None:
    try:
        connection.serve()
    finally:
        connection.close()
        if _board is not None:
            _board.gone(connection)
        if connection.shut_reason:
            limited.warning(
                f"closed {_host(connection.peer)}", "%s: closed: %s", connection.peer, connection.shut_reason
            )


def effective_listen(listen: Listen) -> Listen:
    """Return where to listen: Ryu's own options win where they were given."""
    conf = cfg.CONF
    host = conf.ofp_listen_host if _given("ofp_listen_host") else listen.host
    tls = listen.tls
    if conf.ctl_privkey and conf.ctl_cert:
        tls = TlsFiles(conf.ctl_privkey, conf.ctl_cert, conf.ca_certs)
    port = conf.ofp_ssl_listen_port if tls else conf.ofp_tcp_listen_port
    return Listen(host, port or listen.port, tls)


def _given(option: str) -> bool:
    location = cfg.CONF.get_location(option)
    return location is not None and location.location.name not in {"opt_default", "set_default"}


# -- application -------------------------------------------------------------------------------


class App(app_manager.RyuApp):  # type: ignore[misc] # Ryu has no types
    """Base of the controller application; Ryu's manager calls `start` and `stop`."""

    OFP_VERSIONS = (ofproto_v1_4.OFP_VERSION,)

    @staticmethod
    def serve(board: Switchboard, server: Server) -> None:
        """Tell `board` of the switches that connect to a server."""
        global _board, _server
        _board, _server = board, server
        ofp_handler.OpenFlowController = lambda: _server


def end_services() -> None:
    """Let the manager that runs the applications end, `ryu-manager` or `run_app`."""
    brick = app_manager.lookup_service_brick(controller.ofp_event.NAME)
    if brick is not None and brick.main_thread is not None:
        hub.kill(brick.main_thread)


def run_app(module: str) -> None:
    """Run an application as `ryu-manager` does, in this process, until it stops itself."""
    cfg.CONF(args=[], project="ryu", default_config_files=[])
    manager = app_manager.AppManager.get_instance()
    manager.load_apps([module])
    services = manager.instantiate_apps(**manager.create_contexts())
    try:
        hub.joinall(services)
    finally:
        manager.close()

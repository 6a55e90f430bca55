"""Hosts that dial in (`ovs-vsctl set-manager tcp:... | ssl:...`): who they are, and one client for each.

With TLS a host is who its certificate says: the first of its DNS names, or its common name, that is
admitted. Without, it is what `external_ids:system-id` of its Open_vSwitch row says. A second connection
of a host is refused while the first one answers, and replaces it when it does not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ovsdb.client import Client
from ovsdb.columns import Kind, decode
from ovsdb.errors import BadTarget, ConnectionLost, OvsdbError, ProtocolError
from ovsdb.framing import Splitter, encode
from ovsdb.operations import select
from ovsdb.session import DATABASE, DEFAULT_LIMITS, Limits
from ovsdb.source import Door
from ovsdb.stream import Stream
from ovsdb.target import MAX_PORT, Tls
from topology.events import Event

_log = logging.getLogger("ringfence.ovsdb")

MAX_HOSTS = 1000
MAX_GREETINGS = 64
"""Connections at once that have not said yet who they are; a site of hosts that all dial in again passes in turn."""
GREETING_S = 10.0
"""Time to say it."""
PROBE_S = 2.0
"""Time in which the first connection of a host must answer to keep out a second one."""
MAX_ANSWER = 1 << 20
"""Bytes of the answer that says who a host is."""
MAX_LOGGED = 256
SYSTEM_ID = "system-id"
HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_ACCEPT_PAUSE_S = 0.1


@dataclasses.dataclass(frozen=True, slots=True)
class Listen:
    """Where hosts dial in, and which of them may."""

    host: str
    """IP address to listen on."""
    port: int
    """TCP port; 0 lets the system choose."""
    tls: Tls | None = None
    """Our certificate, and the authority of theirs. None: plain TCP, where a name is only a claim."""
    names: frozenset[str] | None = None
    """Names that may register; None for any."""


class Listener:
    """A listening socket, bound when this is made; `start` accepts in a thread of its own.

    `registered` is called with the client of each host that dials in for the first time, before it is started.
    """

    def __init__(
        self,
        listen: Listen,
        sink: Callable[[Event], None],
        registered: Callable[[Client], None],
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Bind.

        Raises:
            BadTarget: the TLS files cannot be used.
            OSError: the address cannot be had.
        """
        self._listen = listen
        self._sink = sink
        self._registered = registered
        self._limits = limits
        self._context = None if listen.tls is None else _server_context(listen.tls)
        self._socket = _bind(listen)
        self.port: int = self._socket.getsockname()[1]
        self._lock = threading.Lock()
        self._hosts: dict[str, tuple[Client, Door]] = {}
        self._judging: set[str] = set()
        """Hosts of which a connection is being admitted."""
        self._greetings = threading.BoundedSemaphore(MAX_GREETINGS)
        self._stopped = threading.Event()
        self._logged: set[str] = set()
        self._thread = threading.Thread(target=self._accept, name="ovsdb listener", daemon=True)

    def start(self) -> None:
        """Accept hosts until `stop`."""
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Close the socket and end every client."""
        self._stopped.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes who accepts
        self._socket.close()
        with self._lock:
            clients = [client for client, _ in self._hosts.values()]
        for client in clients:
            client.stop(timeout_s)

    def expect(self, name: str) -> Client:
        """Make the client of a host that has not dialled in yet; it gets its connection when it does."""
        with self._lock:
            return self._entry(name)[0]

    def forget(self, name: str) -> Client | None:
        """End and return the client of a host that is away; None if it is here, or being admitted, or not known."""
        with self._lock:
            known = self._hosts.get(name)
            if known is None or name in self._judging or known[0].connected:
                return None
            del self._hosts[name]
        known[0].stop()
        return known[0]

    # -- accepting -----------------------------------------------------------------------------

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                self._greetings.acquire()
                sock, address = self._socket.accept()
            except OSError as error:
                self._greetings.release()
                if not self._stopped.wait(_ACCEPT_PAUSE_S):
                    self._say("accept", f"cannot accept a host: {error}")
                continue
            peer = f"{address[0]}:{address[1]}"
            threading.Thread(target=self._greet, args=(sock, peer), name=f"ovsdb {peer}", daemon=True).start()

    def _greet(self, sock: socket.socket, peer: str) -> None:
        """Find out who a connection is, and give it to that host's client."""
        try:
            sock, names = self._prove(sock)
            name = self._admitted(names or (ask_name(sock, peer),))
            self._offer(name, sock, peer)
        except (OvsdbError, OSError, ValueError) as error:
            self._say(peer.rpartition(":")[0], f"{peer}: not admitted: {error}")
            _end(sock)
        except Exception:  # noqa: BLE001 the registrar's fault or ours: the host tries again
            _log.exception("OVSDB listener: %s could not be taken in", peer)
            _end(sock)
        finally:
            self._greetings.release()

    def _prove(self, sock: socket.socket) -> tuple[socket.socket, tuple[str, ...]]:
        """Shake hands; return the names of the certificate, none without TLS."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(GREETING_S)
        names: tuple[str, ...] = ()
        if self._context is not None:
            sock, names = self._shake_hands(sock, self._context)
            if not names:
                raise ConnectionLost("its certificate has no name; issue one with a DNS name or a common name")
        sock.setblocking(False)
        return sock, names

    @staticmethod
    def _shake_hands(sock: socket.socket, context: ssl.SSLContext) -> tuple[ssl.SSLSocket, tuple[str, ...]]:
        """Secure a connection in time, also against a peer that sends a byte now and then."""
        secured = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        late = threading.Timer(GREETING_S, _shut, (secured,))
        late.daemon = True
        late.start()
        try:
            secured.do_handshake()
            return secured, certificate_names(secured.getpeercert() or {})
        except (OSError, ValueError):
            secured.close()
            raise
        finally:
            late.cancel()

    def _admitted(self, names: tuple[str, ...]) -> str:
        admitted = self._listen.names
        fitting = [name for name in names if HOST_NAME.fullmatch(name) and (admitted is None or name in admitted)]
        if not fitting:
            shown = ", ".join(repr(name[:64]) for name in names[:4])
            raise ConnectionLost(f"{shown} is not admitted; add the name to ovsdb.listen.hosts if it should be")
        return fitting[0]

    def _offer(self, name: str, sock: socket.socket, peer: str) -> None:
        with self._lock:
            if name in self._judging:
                raise ConnectionLost(f"host {name} connected twice at a time")
            self._judging.add(name)
            client, door = self._entry(name)
        try:
            if client.alive(PROBE_S):
                raise ConnectionLost(f"host {name} is connected already and answers; is {SYSTEM_ID} or a key copied?")
            client.drop()
            door.offer(sock)
            _log.info("OVSDB %s: dialled in from %s", name, peer)
        finally:
            with self._lock:
                self._judging.discard(name)

    def _entry(self, name: str) -> tuple[Client, Door]:
        """Return a host's client and door, made now if it is new; the lock is held."""
        known = self._hosts.get(name)
        if known is not None:
            return known
        if self._stopped.is_set() or len(self._hosts) >= MAX_HOSTS:
            raise ConnectionLost(f"{len(self._hosts)} hosts are registered; no more than {MAX_HOSTS} are taken")
        door = Door(name)
        client = Client(name, self._sink, limits=self._limits, source=door)
        self._registered(client)
        self._hosts[name] = client, door
        client.start()
        return client, door

    def _say(self, key: str, text: str) -> None:
        """Log once for each peer until many others came: nobody fills the log."""
        if key not in self._logged:
            if len(self._logged) >= MAX_LOGGED:
                self._logged.clear()
            self._logged.add(key)
            _log.warning("OVSDB listener: %s", text)


def ask_name(sock: socket.socket, peer: str) -> str:
    """Return what a host calls itself, read from its database before anybody else uses the connection.

    Raises:
        ConnectionLost, ProtocolError: it does not say, or says more than it was asked.
    """
    stream, splitter = Stream(sock, peer), Splitter(MAX_ANSWER)
    deadline = time.monotonic() + GREETING_S
    query = select("Open_vSwitch", [], ["external_ids"])
    stream.send(encode({"method": "transact", "params": [DATABASE, query], "id": SYSTEM_ID}), GREETING_S)
    while (left_s := deadline - time.monotonic()) > 0:
        for message in splitter.feed(stream.recv(left_s) or b""):
            if message.get("method") == "echo":
                stream.send(encode({"result": message.get("params"), "error": None, "id": message.get("id")}), left_s)
            elif message.get("id") == SYSTEM_ID and splitter.idle:
                return _name_in(message.get("result"))
            else:
                raise ProtocolError(f"{peer}: it says what it was not asked")
    raise ConnectionLost(f"{peer}: it did not say who it is within {GREETING_S:g} s")


def _name_in(result: object) -> str:
    match result:
        case [{"rows": [{"external_ids": ids}, *_]}]:
            pairs = decode(Kind.MAP, ids)
            if isinstance(pairs, dict) and (name := pairs.get(SYSTEM_ID)):  # type: ignore[call-overload]
                return str(name)
    raise ConnectionLost(
        f"it has no name; give it one: ovs-vsctl set Open_vSwitch . external_ids:{SYSTEM_ID}=NAME, or use TLS"
    )


def certificate_names(certificate: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the DNS names and common names of a certificate, as `getpeercert` has it.

    ovs-pki(8) writes common names as `NAME id:UUID`; there the name counts.
    """
    alternative = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    common = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    return tuple(dict.fromkeys((*alternative, *(name.partition(" id:")[0] for name in common))))


def _bind(listen: Listen) -> socket.socket:
    if not 0 <= listen.port <= MAX_PORT:
        raise BadTarget(f"ovsdb.listen: port {listen.port} is not 1..{MAX_PORT}")
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    return socket.create_server((listen.host, listen.port), family=family, backlog=256)


def _server_context(tls: Tls) -> ssl.SSLContext:
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(tls.ca)
        context.load_cert_chain(tls.cert, tls.key)
    except (OSError, ValueError) as error:
        raise BadTarget(f"ovsdb.listen.tls: cannot use the TLS files: {error}") from error
    return context


def _end(sock: socket.socket) -> None:
    _shut(sock)
    with contextlib.suppress(OSError):
        sock.close()


def _shut(sock: socket.socket) -> None:
    """End a connection from any thread."""
    with contextlib.suppress(OSError, ValueError):
        sock.shutdown(socket.SHUT_RDWR)

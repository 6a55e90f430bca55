"""Where an OVSDB server is: `unix:PATH`, `tcp:HOST:PORT` or `ssl:HOST:PORT`, as ovs-vsctl writes it."""

from __future__ import annotations

import dataclasses
import socket
import ssl

from ovsdb.errors import BadTarget, ConnectionLost

DEFAULT_PORT = 6640
"""IANA's port of OVSDB (RFC 7047, section 7)."""
MAX_PORT = 65535
MAX_UNIX_PATH = 107
"""sun_path less its terminating zero (unix(7))."""


@dataclasses.dataclass(frozen=True, slots=True)
class Tls:
    """PEM files: our key and certificate, and the CA that must have signed the server's."""

    key: str
    cert: str
    ca: str
    check_hostname: bool = False
    """OVS's own PKI (ovs-pki) names no hosts, so by default the CA alone vouches."""


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """A parsed target; `path` for unix, `host` and `port` for the others."""

    kind: str
    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        if self.kind == "unix":
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind}:{host}:{self.port}"


def parse_target(text: str) -> Target:
    """Read a target.

    Raises:
        BadTarget: with what is wrong and what would be right.
    """
    kind, _, rest = text.partition(":")
    if kind == "unix":
        return _unix(rest)
    if kind in ("tcp", "ssl"):
        return _inet(kind, rest)
    raise BadTarget(f"OVSDB target {text[:80]!r}: write unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT")


def _unix(path: str) -> Target:
    if not path or "\0" in path:
        raise BadTarget("OVSDB target unix: needs the path of a socket, such as unix:/var/run/openvswitch/db.sock")
    if len(path.encode()) > MAX_UNIX_PATH:
        raise BadTarget(f"OVSDB target: socket path has over {MAX_UNIX_PATH} bytes; use a shorter directory")
    return Target("unix", path=path)


def _inet(kind: str, rest: str) -> Target:
    host, port = _split_host(rest)
    if not host or any(c.isspace() for c in host):
        raise BadTarget(f"OVSDB target {kind}:{rest[:80]}: needs a host, such as {kind}:127.0.0.1:{DEFAULT_PORT}")
    if not port:
        return Target(kind, host=host, port=DEFAULT_PORT)
    if not (port.isascii() and port.isdigit() and len(port) <= len(str(MAX_PORT)) and 0 < int(port) <= MAX_PORT):
        raise BadTarget(f"OVSDB target {kind}:{rest[:80]}: the port must be 1..{MAX_PORT}")
    return Target(kind, host=host, port=int(port))


def _split_host(rest: str) -> tuple[str, str]:
    if rest.startswith("["):
        host, _, tail = rest[1:].partition("]")
        return host, tail.removeprefix(":")
    host, _, port = rest.partition(":")
    return host, port


def connect(target: Target, tls: Tls | None, timeout_s: float) -> socket.socket:
    """Connect (and shake hands for ssl); the socket returned is non-blocking.

    Raises:
        ConnectionLost: nobody there, refused, or too slow.
        BadTarget: ssl without usable TLS files.
    """
    context = _context(target, tls) if target.kind == "ssl" else None
    try:
        sock = _dial(target, timeout_s)
    except OSError as error:
        raise ConnectionLost(f"{target}: cannot connect: {error}; is ovsdb-server running there?") from error
    try:
        if context is not None:
            sock = context.wrap_socket(sock, server_hostname=target.host)
        sock.setblocking(False)
    except (OSError, ValueError) as error:
        sock.close()
        raise ConnectionLost(f"{target}: TLS handshake failed: {error}; check the certificates and the CA") from error
    return sock


def _dial(target: Target, timeout_s: float) -> socket.socket:
    if target.kind != "unix":
        sock = socket.create_connection((target.host, target.port), timeout=timeout_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_s)
        sock.connect(target.path)
    except OSError:
        sock.close()
        raise
    return sock


def _context(target: Target, tls: Tls | None) -> ssl.SSLContext:
    if tls is None:
        raise BadTarget(f"{target}: needs a private key, a certificate and a CA certificate")
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = tls.check_hostname
        context.load_verify_locations(tls.ca)
        context.load_cert_chain(tls.cert, tls.key)
    except (OSError, ValueError) as error:
        raise BadTarget(f"{target}: cannot use the TLS files: {error}") from error
    return context

"""Ports of the host that lead to containers: read from libnetwork's words, and held while they are in use.

A held port is a bound socket that nobody listens on: no other program of the host can take it meanwhile,
and two containers cannot publish the same one. Packets never reach it; the firewall sends them on before.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import ipaddress
import logging
import socket
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from docker_driver import reading
from docker_driver.errors import Refused
from docker_driver.labels import PROTOCOLS
from docker_driver.state import Endpoint, Published

log = logging.getLogger("ringfence.docker.publishing")

PORTMAP = "com.docker.network.portmap"
MAX_PUBLISHED = 1024
"""Ports that one container may publish."""
_MAX_PORT = 65535
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
"""SCTP ports are held in the driver's own books alone: the host may have no SCTP."""


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """One `-p`: `first` to `last` are the host's ports to choose from, 0 to 0 for any."""

    protocol: str
    host_address: str
    first: int
    last: int
    port: int


def asked_ports(options: Mapping[str, Any]) -> tuple[Asked, ...]:
    """Return what is to be published, from the options of a call.

    Raises:
        Refused: it is no port map, or too long.
    """
    found = dict.fromkeys(_asked(item) for item in reading.items(options, PORTMAP))
    if len(found) > MAX_PUBLISHED:
        raise Refused(f"more than {MAX_PUBLISHED} ports are published: publish fewer")
    return tuple(found)


def _asked(item: reading.Body) -> Asked:
    number = reading.number(item, "Proto", 255)
    if number not in PROTOCOLS:
        raise Refused(f"IP protocol {number} cannot be published: use tcp, udp or sctp")
    first, last = (reading.number(item, key, _MAX_PORT) if item.get(key) else 0 for key in ("HostPort", "HostPortEnd"))
    port = reading.number(item, "Port", _MAX_PORT)
    if not port:
        raise Refused("port 0 cannot be published")
    return Asked(PROTOCOLS[number], _host_address(reading.text(item, "HostIP")), first, max(first, last), port)


def _host_address(text: str) -> str:
    """Return the host's address that a port is published at; empty for all of both IP versions."""
    if not text:
        return ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise Refused(f"{text[:80]!r} is no address of this host (-p ADDRESS:PORT:PORT)") from error
    if address.version == 6 and address.is_loopback:  # noqa: PLR2004 - IP version
        raise Refused("nothing can be published at ::1, the kernel routes it nowhere else: use 127.0.0.1")
    return str(address)


class HostPorts:
    """Which endpoint has which port of the host. Any thread may call."""

    def __init__(self) -> None:
        """Nothing is held yet."""
        self._lock = threading.Lock()
        self._holders: dict[tuple[str, str, int], str] = {}
        self._sockets: dict[str, list[socket.socket]] = {}

    def take(self, uid: str, asked: Iterable[Asked]) -> tuple[Published, ...]:
        """Hold a port of the host for each that is asked for, all or none.

        Raises:
            Refused: one is another's.
        """
        with self._lock:
            try:
                return tuple([self._one_of(uid, one) for one in asked])
            except Refused:
                self._release(uid)
                raise

    def take_again(self, endpoints: Iterable[Endpoint]) -> None:
        """Hold what was held before the driver was restarted; what somebody took meanwhile is only logged."""
        for endpoint in endpoints:
            for p in endpoint.published:
                try:
                    self.take_one(endpoint.uid, p)
                except Refused as refused:
                    log.warning("%s; it still leads to the container that published it", refused)

    def take_one(self, uid: str, published: Published) -> None:
        """Hold one certain port. Raises Refused: it is another's."""
        with self._lock:
            self._hold(uid, published)

    def release(self, uid: str) -> None:
        """Let go whatever an endpoint holds."""
        with self._lock:
            self._release(uid)

    def _one_of(self, uid: str, asked: Asked) -> Published:
        for number in range(asked.first, asked.last + 1):
            wanted = Published(asked.protocol, asked.host_address, number or _any_port(asked), asked.port)
            try:
                self._hold(uid, wanted)
            except Refused:
                if number == asked.last:
                    raise
            else:
                return wanted
        raise Refused("no port of the host is asked for")

    def _hold(self, uid: str, wanted: Published) -> None:
        words = f"{wanted.host_address or '*'}:{wanted.host_port}/{wanted.protocol}"
        for (protocol, address, port), holder in self._holders.items():
            same = (protocol, port) == (wanted.protocol, wanted.host_port)
            if same and _meet(address, wanted.host_address) and holder != uid:
                raise Refused(f"port {words} of the host is already allocated to another container: choose another")
        key = (wanted.protocol, wanted.host_address, wanted.host_port)
        if key in self._holders:
            return
        self._sockets.setdefault(uid, []).extend(_bound(wanted, words))
        self._holders[key] = uid

    def _release(self, uid: str) -> None:
        for held in self._sockets.pop(uid, ()):
            held.close()
        self._holders = {key: holder for key, holder in self._holders.items() if holder != uid}


def _meet(one: str, other: str) -> bool:
    """Say whether two addresses of the host are, or may be, the same."""
    wild = {"", "0.0.0.0", "::"}  # noqa: S104 - the words for every address
    if one == other or not one or not other:
        return True
    same_version = (":" in one) == (":" in other)
    return same_version and (one in wild or other in wild)


def _any_port(asked: Asked) -> int:
    """Return a port that is free now."""
    with socket.socket(socket.AF_INET, _KINDS.get(asked.protocol, socket.SOCK_STREAM)) as chosen:
        chosen.bind(("", 0))
        return int(chosen.getsockname()[1])


def _bound(wanted: Published, words: str) -> list[socket.socket]:
    """Return sockets that hold a port, of both IP versions where no address is named.

    Raises:
        Refused: another program of the host has it.
    """
    kind = _KINDS.get(wanted.protocol)
    if kind is None:
        return []
    addresses = [wanted.host_address] if wanted.host_address else ["0.0.0.0", "::"]  # noqa: S104 - as asked for
    made: list[socket.socket] = []
    for address in addresses:
        try:
            made.append(_bind(kind, address, wanted.host_port))
        except OSError as error:
            if address == "::" and len(addresses) > 1 and error.errno in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}:
                continue  # a host without IPv6
            for one in made:
                one.close()
            raise Refused(f"port {words} of the host: {error.strerror}: choose another") from error
    return made


def _bind(kind: int, address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.ExitStack() as stack:
        made = stack.enter_context(socket.socket(family, kind | socket.SOCK_CLOEXEC))
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # Of what arrives all the same nothing is kept.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        made.bind((address, port))
        stack.pop_all()
    return made

"""Short words in which attacks are written."""

from __future__ import annotations

from collections.abc import Callable

from tests.ovs.crafting import ACK, IPV4, IPV6, SYN, TCP, UDP, ether, ip4, ip6, tcp, udp
from tests.ovs.crafting_bench import Attack, Step, send
from tests.ovs.crafting_site import four, hardware, six

C4, S4, F4, V4 = (four(name) for name in ("client", "server", "friend", "victim"))
C6, S6, F6, V6 = (six(name) for name in ("client", "server", "friend", "victim"))
NOBODY: frozenset[str] = frozenset()
SERVER = frozenset({"server"})
CLIENT = frozenset({"client"})
VICTIM = frozenset({"victim"})
DHCP = frozenset({"dhcp"})


def e4(*packets: bytes, src: str = "client", dst: str = "server") -> tuple[bytes, ...]:
    return tuple(ether(hardware(src), hardware(dst), IPV4, packet) for packet in packets)


def e6(*packets: bytes, src: str = "client", dst: str = "server") -> tuple[bytes, ...]:
    return tuple(ether(hardware(src), hardware(dst), IPV6, packet) for packet in packets)


def from4(protocol: int, payload: bytes, src: str = "client", dst: str = "server") -> Step:
    """An honest IPv4 packet between two endpoints."""
    return send(src, *e4(ip4(four(src), four(dst), protocol, payload), src=src, dst=dst))


def from6(following: int, payload: bytes, src: str = "client", dst: str = "server") -> Step:
    return send(src, *e6(ip6(six(src), six(dst), following, payload), src=src, dst=dst))


def udp4(sport: int, dport: int, payload: bytes = b"", src: str = "client", dst: str = "server") -> Step:
    return from4(UDP, udp(four(src), four(dst), sport, dport, payload), src, dst)


def udp6(sport: int, dport: int, payload: bytes = b"", src: str = "client", dst: str = "server") -> Step:
    return from6(UDP, udp(six(src), six(dst), sport, dport, payload), src, dst)


def tcp4(
    ports: tuple[int, int], flags: int, payload: bytes = b"", ends: tuple[str, str] = ("client", "server"),
    *, seq: int = 1000, ack: int = 0,
) -> Step:  # fmt: skip
    """`ports` and `ends` are source and destination."""
    src, dst = ends
    return from4(TCP, tcp(four(src), four(dst), *ports, flags, payload, seq=seq, ack=ack), src, dst)


def shaken(port: int, sport: int = 4000) -> tuple[Step, ...]:
    """The handshake of client and server over IPv4; afterwards the client is at 1001, the server at 2001."""
    return (
        tcp4((sport, port), SYN),
        tcp4((port, sport), SYN | ACK, b"", ("server", "client"), seq=2000, ack=1001),
        tcp4((sport, port), ACK, seq=1001, ack=2001),
    )


def single(name: str, site: str, step: Callable[[bytes], Step], sees: frozenset[str], why: str) -> Attack:
    """An attack of one step."""
    return Attack(name, site, lambda m: (step(m),), sees, why)

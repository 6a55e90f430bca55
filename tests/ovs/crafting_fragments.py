"""Attacks by fragments: headers that are split, overlapped, late or missing."""

from __future__ import annotations

from tests.ovs.crafting import (
    ACK,
    ICMP,
    ICMPV6,
    IPV4,
    IPV6,
    PSH,
    SYN,
    TCP,
    UDP,
    ether,
    icmp,
    icmp6,
    ip4,
    pieces4,
    pieces6,
    tcp,
    udp,
)
from tests.ovs.crafting_bench import Attack, Step, send
from tests.ovs.crafting_site import four, hardware, six

C4, S4, C6, S6 = four("client"), four("server"), six("client"), six("server")
NOBODY: frozenset[str] = frozenset()
SERVER = frozenset({"server"})
LONG = b"x" * 1600


def e4(*packets: bytes, src: str = "client", dst: str = "server") -> tuple[bytes, ...]:
    return tuple(ether(hardware(src), hardware(dst), IPV4, packet) for packet in packets)


def e6(*packets: bytes, src: str = "client", dst: str = "server") -> tuple[bytes, ...]:
    return tuple(ether(hardware(src), hardware(dst), IPV6, packet) for packet in packets)


def whole_udp4(port: int, marker: bytes, *, order: int = 1) -> tuple[Step, ...]:
    return (send("client", *e4(*pieces4(C4, S4, UDP, udp(C4, S4, 4000, port, LONG + marker))[::order])),)


def whole_udp6(port: int, marker: bytes, *, order: int = 1) -> tuple[Step, ...]:
    return (send("client", *e6(*pieces6(C6, S6, UDP, udp(C6, S6, 4000, port, LONG + marker))[::order])),)


def whole_icmp(marker: bytes) -> tuple[Step, ...]:
    return (send("client", *e4(*pieces4(C4, S4, ICMP, icmp(8, 0, LONG + marker)))),)


def whole_icmp6(marker: bytes) -> tuple[Step, ...]:
    return (send("client", *e6(*pieces6(C6, S6, ICMPV6, icmp6(C6, S6, 128, 0, LONG + marker)))),)


def whole_tcp(port: int, marker: bytes) -> tuple[Step, ...]:
    """A stream that is open (if it may be), then a segment in pieces."""
    segment = tcp(C4, S4, 4000, port, PSH | ACK, LONG + marker, seq=1001, ack=2001)
    return (*shaken(port), send("client", *e4(*pieces4(C4, S4, TCP, segment))))


def shaken(port: int) -> tuple[Step, ...]:
    """The handshake of client and server over IPv4."""
    return (
        send("client", *e4(ip4(C4, S4, TCP, tcp(C4, S4, 4000, port)))),
        send("server", *e4(ip4(S4, C4, TCP, tcp(S4, C4, port, 4000, SYN | ACK, seq=2000, ack=1001)),
                           src="server", dst="client")),
        send("client", *e4(ip4(C4, S4, TCP, tcp(C4, S4, 4000, port, ACK, seq=1001, ack=2001)))),
    )  # fmt: skip


def stowaways(marker: bytes) -> tuple[Step, ...]:
    """More fragments are complete at once than a batch holds (32); the rest goes with whoever is tracked next."""
    victim, friend = four("victim"), four("friend")
    bodies = [udp(C4, victim, 4000 + n, 99, (marker * 6000)[: 48 * 1240 - 8]) for n in range(3)]
    lists = [
        pieces4(C4, victim, UDP, body, tuple(range(1240, len(body), 1240)), 100 + n) for n, body in enumerate(bodies)
    ]
    early = [packet for pieces in lists for packet in pieces[:-1]]
    late = [pieces[-1] for pieces in lists]
    other = [
        e4(ip4(friend, victim, UDP, udp(friend, victim, 5000 + n, 7)), src="friend", dst="victim") for n in range(12)
    ]
    return (
        send("client", *e4(*early, dst="victim")),
        send("client", *e4(*late, dst="victim")),
        *(send("friend", *frames) for frames in other),
    )


FRAGMENTS = (
    Attack("stowaway fragments", "strict", stowaways, NOBODY, "a sender is itself, whoever's packet is next"),
    Attack("udp4 fragments of an allowed datagram", "strict", lambda m: whole_udp4(80, m), SERVER, "legal fragments"),
    Attack("udp6 fragments of an allowed datagram", "strict", lambda m: whole_udp6(80, m), SERVER, "legal fragments"),
    Attack("tcp4 fragments of an allowed segment", "strict", lambda m: whole_tcp(80, m), SERVER, "legal fragments"),
    Attack("icmp fragments of an allowed echo", "strict", whole_icmp, SERVER, "legal fragments"),
    Attack("icmp6 fragments of an allowed echo", "strict", whole_icmp6, SERVER, "legal fragments"),
    Attack("udp4 fragments to a forbidden port", "strict", lambda m: whole_udp4(53, m), NOBODY, "judged as a whole"),
    Attack("udp6 fragments to a forbidden port", "strict", lambda m: whole_udp6(53, m), NOBODY, "judged as a whole"),
    Attack("udp4 fragments to a denied port", "open", lambda m: whole_udp4(53, m), NOBODY, "judged as a whole"),
    Attack("udp6 fragments to a denied port", "open", lambda m: whole_udp6(53, m), NOBODY, "judged as a whole"),
    Attack("tcp4 fragments to a denied port", "open", lambda m: whole_tcp(22, m), NOBODY, "judged as a whole"),
    Attack("icmp fragments of a denied echo", "open", whole_icmp, NOBODY, "judged as a whole"),
    Attack("icmp6 fragments of a denied echo", "open", whole_icmp6, NOBODY, "judged as a whole"),
    Attack(
        "udp4 fragments to a port outside 1-100", "low", lambda m: whole_udp4(5000, m), NOBODY, "no port is not port 0"
    ),
    Attack("udp4 fragments to a port in 1-100", "low", lambda m: whole_udp4(50, m), SERVER, "legal fragments"),
)

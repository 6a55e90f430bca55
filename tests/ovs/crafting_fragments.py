"""Attacks by fragments: headers that are split, overlapped, late, nested or missing."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from tests.ovs.crafting import (
    ACK,
    DSTOPTS,
    FRAGMENT,
    HOPOPTS,
    ICMP,
    ICMPV6,
    MORE,
    PSH,
    SCTP,
    SYN,
    TCP,
    UDP,
    extension,
    fragment,
    icmp,
    icmp6,
    ip4,
    ip6,
    padding,
    pieces4,
    pieces6,
    sctp,
    tcp,
    udp,
)
from tests.ovs.crafting_bench import Attack, Replug, Send, Step, Switchover, send
from tests.ovs.crafting_site import ROUTER
from tests.ovs.crafting_words import C4, C6, CLIENT, F4, NOBODY, S4, S6, SERVER, V4, e4, e6, from6, shaken, udp4

LONG = b"x" * 1600
HALF = 1400
"""Payload of a first fragment that is no tiny one (1200 bytes on IPv4, 1280 on IPv6)."""
Steps = Callable[[bytes], tuple[Step, ...]]


def datagram4(port: int, order: tuple[int, ...] = (0, 1, 2), pad: bytes = LONG * 2) -> Steps:
    """A datagram in three pieces, sent in some order; the marker is in each."""

    def steps(marker: bytes) -> tuple[Step, ...]:
        data = udp(C4, S4, 4000, port, marker + pad[: HALF - 8] + marker + pad[:HALF] + marker + b"y" * 400 + marker)
        pieces = pieces4(C4, S4, UDP, data, (HALF, 2 * HALF))
        return (send("client", *e4(*(pieces[n] for n in order))),)

    return steps


def datagram6(port: int, order: tuple[int, ...] = (0, 1, 2), pad: bytes = LONG * 2) -> Steps:
    def steps(marker: bytes) -> tuple[Step, ...]:
        data = udp(C6, S6, 4000, port, marker + pad[: HALF - 8] + marker + pad[:HALF] + marker + b"y" * 400 + marker)
        pieces = pieces6(C6, S6, UDP, data, (HALF, 2 * HALF))
        return (send("client", *e6(*(pieces[n] for n in order))),)

    return steps


def reply_in_pieces(m: bytes) -> tuple[Step, ...]:
    pieces = pieces4(S4, C4, UDP, udp(S4, C4, 80, 4000, m + LONG + m))
    return (udp4(4000, 80), send("server", *e4(*pieces, src="server", dst="client")))


def segment(port: int) -> Steps:
    """A stream that is open (if it may be), then a segment in pieces."""
    return lambda m: (
        *shaken(port),
        send("client", *e4(*pieces4(C4, S4, TCP, tcp(C4, S4, 4000, port, PSH | ACK, LONG + m, seq=1001, ack=2001)))),
    )


def echo4(m: bytes) -> tuple[Step, ...]:
    return (send("client", *e4(*pieces4(C4, S4, ICMP, icmp(8, 0, m + LONG + m)))),)


def echo6(m: bytes) -> tuple[Step, ...]:
    return (send("client", *e6(*pieces6(C6, S6, ICMPV6, icmp6(C6, S6, 128, 0, m + LONG + m)))),)


def disguised_echo6(m: bytes) -> tuple[Step, ...]:
    """Its later piece begins like a neighbour solicitation."""
    data = icmp6(C6, S6, 128, 0, (b"\x87\0" * 720) + m)
    return (send("client", *e6(*pieces6(C6, S6, ICMPV6, data, (1440,)))),)


def tiny4(port: int) -> Steps:
    """The first piece holds 8 bytes: ports, but no flags."""
    return lambda m: (send("client", *e4(*pieces4(C4, S4, TCP, tcp(C4, S4, 4000, port, payload=m * 4), (8,)))),)


def tiny6(port: int) -> Steps:
    return lambda m: (send("client", *e6(*pieces6(C6, S6, UDP, udp(C6, S6, 4000, port, m * 4), (8,)))),)


def overlap(order: tuple[int, ...]) -> Steps:
    """A second piece that writes over the port of the first (RFC 1858, 3.2): 80 becomes 53."""

    def steps(marker: bytes) -> tuple[Step, ...]:
        good = udp(C4, S4, 4000, 80, b"-" * len(marker) + LONG)
        evil = udp(C4, S4, 4000, 53, marker + LONG)
        ident = zlib.crc32(marker) & 0xFFFF
        pieces = (
            ip4(C4, S4, UDP, good[:HALF], ident=ident, offset=MORE),
            ip4(C4, S4, UDP, evil[:HALF], ident=ident, offset=MORE),
            ip4(C4, S4, UDP, good[HALF:], ident=ident, offset=HALF // 8),
        )
        return (send("client", *e4(*(pieces[n] for n in order))),)

    return steps


def partial_overlap6(marker: bytes) -> tuple[Step, ...]:
    """RFC 5722: a datagram with overlapping pieces is none."""
    data = udp(C6, S6, 4000, 80, marker + LONG)
    head = ip6(C6, S6, FRAGMENT, fragment(UDP, 0, data[:HALF], more=True, ident=zlib.crc32(marker)))
    tail = ip6(C6, S6, FRAGMENT, fragment(UDP, HALF - 80, data[HALF - 80 :], more=False, ident=zlib.crc32(marker)))
    return (send("client", *e6(head, tail)),)


def other_protocol_later(marker: bytes) -> tuple[Step, ...]:
    """The first piece says UDP, the later one ICMP."""
    data = udp(C4, S4, 4000, 80, marker + LONG + marker)
    ident = zlib.crc32(marker) & 0xFFFF
    first = ip4(C4, S4, UDP, data[:HALF], ident=ident, offset=MORE)
    return (send("client", *e4(first, ip4(C4, S4, ICMP, data[HALF:], ident=ident, offset=HALF // 8))),)


def other_protocol_later6(marker: bytes) -> tuple[Step, ...]:
    """The first piece says UDP and is denied, the later one TCP; IPv6 stacks believe the first."""
    data = udp(C6, S6, 4000, 53, marker + LONG + marker)
    first = ip6(C6, S6, FRAGMENT, fragment(UDP, 0, data[:HALF], more=True, ident=zlib.crc32(marker)))
    later = ip6(C6, S6, FRAGMENT, fragment(TCP, HALF, data[HALF:], more=False, ident=zlib.crc32(marker)))
    return (send("client", *e6(first, later)),)


def atomic(port: int) -> Steps:
    """RFC 6946: a fragment header on a packet that is whole."""
    return lambda m: (
        send("client", *e6(ip6(C6, S6, FRAGMENT, fragment(UDP, 0, udp(C6, S6, 4000, port, m), more=False, ident=1)))),
    )


def reserved_bits(m: bytes) -> tuple[Step, ...]:
    """An atomic fragment whose reserved bits are set."""
    data = fragment(UDP, 0, udp(C6, S6, 4000, 53, m), more=False, ident=1, reserved=3)
    return (send("client", *e6(ip6(C6, S6, FRAGMENT, data))),)


def nested(port: int) -> Steps:
    """A fragment header inside a fragment."""
    return lambda m: (
        send("client", *e6(ip6(C6, S6, FRAGMENT, fragment(
            FRAGMENT, 0, fragment(UDP, 0, udp(C6, S6, 4000, port, m), more=False, ident=2), more=False, ident=1)))),
    )  # fmt: skip


def nested_later(m: bytes) -> tuple[Step, ...]:
    """Whole outside, a later piece inside."""
    inside = fragment(UDP, 1448, m + LONG[:200], more=False, ident=zlib.crc32(m))
    return (send("client", *e6(ip6(C6, S6, FRAGMENT, fragment(FRAGMENT, 0, inside, more=False, ident=1)))),)


def behind_options(port: int, *, inside: bool = False) -> Steps:
    """Hop-by-hop options before the fragment header, and perhaps destination options inside the first piece."""

    def steps(marker: bytes) -> tuple[Step, ...]:
        whole = (extension(UDP) if inside else b"") + udp(C6, S6, 4000, port, marker + LONG + marker)
        following = DSTOPTS if inside else UDP
        parts = ((whole[:HALF], 0, True), (whole[HALF:], HALF, False))
        packets = [
            ip6(
                C6,
                S6,
                HOPOPTS,
                extension(FRAGMENT) + fragment(following, at, data, more=more, ident=zlib.crc32(marker)),
            )
            for data, at, more in parts
        ]
        return (send("client", *e6(*packets)),)

    return steps


def header_in_second(port: int) -> Steps:
    """RFC 7112: options fill the first piece, so the UDP header comes with the second."""

    def steps(marker: bytes) -> tuple[Step, ...]:
        chain = extension(UDP, b"\x1e\xf0" + marker.ljust(240, b"o") + b"\x1e\xfe" + b"o" * 254 + padding(852))
        whole = chain + udp(C6, S6, 4000, port, LONG + marker)
        return (send("client", *e6(*pieces6(C6, S6, DSTOPTS, whole, (len(chain),)))),)

    return steps


def headless(m: bytes) -> tuple[Step, ...]:
    """Everything but the first piece."""
    return (send("client", *e4(*pieces4(C4, S4, UDP, udp(C4, S4, 4000, 80, LONG + m))[1:])),)


def headless6(m: bytes) -> tuple[Step, ...]:
    return (send("client", *e6(*pieces6(C6, S6, UDP, udp(C6, S6, 4000, 80, LONG + m))[1:])),)


def same_ident(m: bytes) -> tuple[Step, ...]:
    """The head of an allowed datagram, the tail of a denied one, under one identification."""
    ident = zlib.crc32(m) & 0xFFFF
    head = pieces4(C4, S4, UDP, udp(C4, S4, 4000, 80, LONG + m), ident=ident)[0]
    denied = pieces4(C4, S4, UDP, udp(C4, S4, 4000, 53, m + LONG + m), ident=ident)
    return (send("client", *e4(head, *denied)),)


def in_two_lives(m: bytes) -> tuple[Step, ...]:
    """A denied datagram in pieces right after one from the same ports that was allowed."""
    return (*datagram4(80)(b"-"), *datagram4(53)(m))


def over_sctp(port: int) -> Steps:
    return lambda m: (send("client", *e4(*pieces4(C4, S4, SCTP, sctp(4000, port, m + LONG + m)))),)


def redirect(m: bytes) -> tuple[Step, ...]:
    """A redirect in pieces about an open connection: only the whole of it shows its type."""
    quoted = ip4(S4, C4, UDP, udp(S4, C4, 80, 4000, m + LONG))
    message = icmp(5, 1, quoted + m)
    pieces = pieces4(F4, S4, ICMP, message)
    return (udp4(4000, 80), send("friend", *e4(*pieces, src="friend", dst="server")))


def dhcp_reply(m: bytes) -> tuple[Step, ...]:
    """A forged DHCP reply in pieces where policy lets every port pass: only the whole shows its ports."""
    return (send("friend", *e4(*pieces4(F4, V4, UDP, udp(F4, V4, 67, 68, m + LONG + m)), src="friend", dst="victim")),)


def opening_in_pieces(m: bytes) -> tuple[Step, ...]:
    return (send("client", *e4(*pieces4(C4, S4, TCP, tcp(C4, S4, 4000, 80, payload=m + LONG + m)))),)


def half_headers(m: bytes) -> tuple[Step, ...]:
    """A stream that is denied now goes on in a first piece with 16 bytes of TCP, the options before them uncounted."""
    ends = (
        from6(TCP, tcp(C6, S6, 4000, 22)),
        from6(TCP, tcp(S6, C6, 22, 4000, SYN | ACK, seq=2000, ack=1001), "server", "client"),
        from6(TCP, tcp(C6, S6, 4000, 22, ACK, seq=1001, ack=2001)),
    )
    data = tcp(C6, S6, 4000, 22, PSH | ACK, m + LONG, seq=1001, ack=2001)
    chain = extension(TCP, b"\x1e\xf0" + m.ljust(240, b"o") + padding(1108))
    head = fragment(DSTOPTS, 0, chain + data[:16], more=True, ident=zlib.crc32(m))
    tail = fragment(DSTOPTS, 16, data[16:], more=False, ident=zlib.crc32(m))
    pieces = e6(ip6(C6, S6, FRAGMENT, head), ip6(C6, S6, FRAGMENT, tail))
    return (*ends, Switchover("open"), send("client", *pieces))


def stowaways(marker: bytes) -> tuple[Step, ...]:
    """More fragments are complete at once than a batch holds (32); the rest goes with whoever is tracked next."""
    bodies = [udp(C4, V4, 4000 + n, 99, (marker * 6000)[: 48 * 1240 - 8]) for n in range(3)]
    lists = [pieces4(C4, V4, UDP, body, tuple(range(1240, len(body), 1240))) for body in bodies]
    return (
        send("client", *e4(*(packet for pieces in lists for packet in pieces[:-1]), dst="victim")),
        send("client", *e4(*(pieces[-1] for pieces in lists), dst="victim")),
        *(udp4(5000 + n, 7, b"", "friend", "victim") for n in range(12)),
    )


def stowaways_behind_openings(marker: bytes) -> tuple[Step, ...]:
    """As above, but those who are next also open connections with answers, and pieces of their own."""
    pieces = pieces4(F4, V4, UDP, udp(F4, V4, 6000, 7, LONG))
    friendly = send("friend", *e4(*pieces, src="friend", dst="victim"))
    return (*stowaways(marker), friendly, *(udp4(7, 5000 + n, b"", "victim", "friend") for n in range(4)))


def routed(steps: Steps) -> Steps:
    """The same by way of the router."""

    def there(step: Step) -> Step:
        if not isinstance(step, Send):
            return step
        return Send(step.sender, tuple(bytes.fromhex(ROUTER.replace(":", "")) + frame[6:] for frame in step.frames))

    return lambda m: tuple(map(there, steps(m)))


WHOLE = "pieces are judged as the datagram they make"
LEGAL = "legal fragments of an allowed flow pass"
FRAGMENTS = (
    Attack("udp4 in pieces", "strict", datagram4(80), SERVER, LEGAL),
    Attack("udp6 in pieces", "strict", datagram6(80), SERVER, LEGAL),
    Attack(
        "reply to an opening in pieces",
        "strict",
        lambda m: (*datagram4(80)(b"-"), udp4(80, 4000, m, "server", "client")),
        CLIENT,
        LEGAL,
    ),
    Attack("reply in pieces", "strict", reply_in_pieces, CLIENT, LEGAL),
    Attack("reply in pieces to nothing", "strict", lambda m: reply_in_pieces(m)[1:], NOBODY, WHOLE),
    Attack(
        "reply in pieces after revocation",
        "strict",
        lambda m: (udp4(4000, 80), Switchover("tunnel"), *reply_in_pieces(m)[1:]),
        NOBODY,
        "allowed no longer",
    ),
    Attack(
        "reply in pieces after the server was replugged",
        "strict",
        lambda m: (udp4(4000, 80), Replug("server"), *reply_in_pieces(m)[1:]),
        NOBODY,
        "another's connection",
    ),
    Attack("udp4 pieces out of order", "strict", datagram4(80, (2, 0, 1)), SERVER, LEGAL),
    Attack("udp6 pieces backwards", "strict", datagram6(80, (2, 1, 0)), SERVER, LEGAL),
    Attack("tcp4 segment in pieces", "strict", segment(80), SERVER, LEGAL),
    Attack("icmp echo in pieces", "strict", echo4, SERVER, LEGAL),
    Attack("icmp6 echo in pieces", "strict", echo6, SERVER, LEGAL),
    Attack("udp4 in pieces to 50 of 1-100", "low", datagram4(50), SERVER, LEGAL),
    Attack("atomic fragment", "strict", atomic(80), SERVER, LEGAL),
    Attack("udp6 pieces behind options", "strict", behind_options(80), SERVER, LEGAL),
    Attack(
        "udp6 pieces around options",
        "strict",
        behind_options(80, inside=True),
        NOBODY,
        "Open vSwitch cannot count such pieces together (docs/limits.md)",
    ),
    Attack("udp4 in pieces to a closed port", "strict", datagram4(53), NOBODY, WHOLE),
    Attack("udp6 in pieces to a closed port", "strict", datagram6(53), NOBODY, WHOLE),
    Attack("udp4 in pieces to a denied port", "open", datagram4(53), NOBODY, WHOLE),
    Attack("udp4 pieces out of order to a denied port", "open", datagram4(53, (1, 2, 0)), NOBODY, WHOLE),
    Attack("udp6 in pieces to a denied port", "open", datagram6(53), NOBODY, WHOLE),
    Attack("udp6 pieces backwards to a denied port", "open", datagram6(53, (2, 1, 0)), NOBODY, WHOLE),
    Attack("tcp4 segment in pieces to a denied port", "open", segment(22), NOBODY, WHOLE),
    Attack("icmp echo in pieces denied", "open", echo4, NOBODY, WHOLE),
    Attack("icmp6 echo in pieces denied", "open", echo6, NOBODY, WHOLE),
    Attack("icmp6 echo pieces disguised", "open", disguised_echo6, NOBODY, WHOLE),
    Attack("udp4 in pieces to 5000 of 1-100", "low", datagram4(5000), NOBODY, "a hidden port is not port 0"),
    Attack("icmp echo in pieces where only replies are named", "low", echo4, NOBODY, "a hidden type is not type 0"),
    Attack("tiny first piece to an allowed port", "strict", tiny4(80), NOBODY, "conntrack takes none below 1200 bytes"),
    Attack("tiny first piece to a denied port", "open", tiny4(22), NOBODY, "conntrack takes none below 1200 bytes"),
    Attack("tiny first piece of udp6 to a denied port", "open", tiny6(53), NOBODY, "below 1280 bytes"),
    Attack("overlap after", "open", overlap((0, 1, 2)), NOBODY, "the overlap is dropped; the rest is allowed"),
    Attack("overlap before", "open", overlap((1, 0, 2)), NOBODY, "the denied first piece is the one that counts"),
    Attack("overlap of udp6", "open", partial_overlap6, NOBODY, "an overlapped datagram never gets whole"),
    Attack("another protocol later", "open", other_protocol_later, NOBODY, "they are two datagrams, neither whole"),
    Attack("another protocol later on IPv6", "open", other_protocol_later6, NOBODY, "the first piece's counts"),
    Attack("atomic fragment to a denied port", "open", atomic(53), NOBODY, "it is whole: its port shows"),
    Attack("atomic fragment with reserved bits", "open", reserved_bits, NOBODY, "invalid to conntrack"),
    Attack("nested fragments to a denied port", "open", nested(53), NOBODY, "the innermost protocol counts"),
    Attack("nested later fragment", "open", nested_later, NOBODY, "it never gets whole"),
    Attack("udp6 pieces behind options to a denied port", "open", behind_options(53), NOBODY, WHOLE),
    Attack("udp6 pieces around options to a denied port", "open", behind_options(53, inside=True), NOBODY, WHOLE),
    Attack("header in the second piece", "open", header_in_second(53), NOBODY, "RFC 7112: such a first piece is none"),
    Attack("pieces without the first", "open", headless, NOBODY, "it never gets whole"),
    Attack("udp6 pieces without the first", "open", headless6, NOBODY, "it never gets whole"),
    Attack(
        "denied pieces behind a head of the same ident",
        "open",
        same_ident,
        NOBODY,
        "their mixture has a false checksum",
    ),
    Attack("denied pieces after allowed ones", "open", in_two_lives, NOBODY, WHOLE),
    Attack("sctp in pieces to a denied port", "open", over_sctp(22), NOBODY, WHOLE),
    Attack("half a header in the first piece", "free", half_headers, NOBODY, "denied, though nothing shows the port"),
    Attack("sctp in pieces", "strict", over_sctp(80), NOBODY, "nobody can tell its port (docs/limits.md)"),
    Attack("redirect in pieces", "open", redirect, NOBODY, "an error in pieces hides its type"),
    Attack("dhcp reply in pieces", "strict", dhcp_reply, NOBODY, "only the declared server sends these"),
    Attack("tcp opening in pieces", "strict", opening_in_pieces, NOBODY, "no stack opens in pieces"),
    Attack("stowaway fragments", "strict", stowaways, NOBODY, "a sender is itself, whoever is next"),
    Attack("stowaways behind openings", "strict", stowaways_behind_openings, NOBODY, "a sender is itself"),
    Attack("routed udp4 in pieces", "routed-strict", routed(datagram4(80)), SERVER, LEGAL),
    Attack("routed udp6 pieces backwards", "routed-strict", routed(datagram6(80, (2, 1, 0))), SERVER, LEGAL),
    Attack("routed udp4 in pieces to a closed port", "routed-strict", routed(datagram4(53)), NOBODY, WHOLE),
    Attack("routed udp4 in pieces to a denied port", "routed-open", routed(datagram4(53)), NOBODY, WHOLE),
    Attack("routed udp6 in pieces to a denied port", "routed-open", routed(datagram6(53)), NOBODY, WHOLE),
    Attack("routed tcp4 segment in pieces to a denied port", "routed-open", routed(segment(22)), NOBODY, WHOLE),
    Attack("routed icmp echo in pieces denied", "routed-open", routed(echo4), NOBODY, WHOLE),
    Attack("routed stowaways", "routed-strict", routed(stowaways_behind_openings), NOBODY, "a sender is itself"),
)

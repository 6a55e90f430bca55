"""Attacks by headers: extension chains, options, false lengths and sums, packets inside packets."""

from __future__ import annotations

from collections.abc import Callable

from tests.ovs.crafting import (
    AH,
    DSTOPTS,
    ESP,
    GRE,
    HOPOPTS,
    ICMP,
    ICMPV6,
    IPV4,
    NO_NEXT,
    ROUTING,
    UDP,
    authentication,
    extension,
    icmp,
    icmp6,
    ip4,
    ip6,
    udp,
)
from tests.ovs.crafting_bench import Step, send
from tests.ovs.crafting_words import C4, C6, NOBODY, S4, S6, SERVER, e4, e6, from4, from6, single, udp4, udp6

MOBILITY, UDP_LITE, IP_IN_IP, IPV6_IN_IP, EXPERIMENT = 135, 136, 4, 41, 253
RECORD_ROUTE = b"\x07\x07\x04\0\0\0\0\x01"
LOOSE_ROUTE = b"\x83\x07\x04\x0a\0\0\x04\0"
ROUTE_BY_FRIEND = b"\0\x01\0\0\0\0" + bytes.fromhex("fd000000000000000000000000000003")
"""Body of a routing header of type 0, one segment left."""
OneStep = Callable[[bytes], Step]


def chain6(port: int, *chain: int) -> OneStep:
    """UDP behind a chain of extension headers."""

    def step(marker: bytes) -> Step:
        headers = b"".join(
            extension(following, ROUTE_BY_FRIEND if here == ROUTING else b"\x01\x04\0\0\0\0")
            for here, following in zip(chain, (*chain[1:], UDP), strict=True)
        )
        return from6(chain[0], headers + udp(C6, S6, 4000, port, marker))

    return step


def secured6(port: int) -> OneStep:
    return lambda m: from6(AH, authentication(UDP) + udp(C6, S6, 4000, port, m))


def options4(port: int, options: bytes) -> OneStep:
    return lambda m: send("client", *e4(ip4(C4, S4, UDP, udp(C4, S4, 4000, port, m), options=options)))


def lying4(port: int, **lies: int) -> OneStep:
    return lambda m: send("client", *e4(ip4(C4, S4, UDP, udp(C4, S4, 4000, port, m), **lies)))


def lying6(port: int, size: int) -> OneStep:
    return lambda m: send("client", *e6(ip6(C6, S6, UDP, udp(C6, S6, 4000, port, m), size=size)))


def false_sum(m: bytes) -> Step:
    data = udp(C4, S4, 4000, 80, m)
    return from4(UDP, data[:6] + b"\x12\x34" + data[8:])


def false_udp_length(m: bytes) -> Step:
    data = udp(C4, S4, 4000, 80, m)
    return from4(UDP, data[:4] + b"\x40\0" + data[6:])


def wrong_version(m: bytes) -> Step:
    packet = ip4(C4, S4, UDP, udp(C4, S4, 4000, 53, m))
    return send("client", *e4(b"\x65" + packet[1:]))


def short_header(m: bytes) -> Step:
    packet = ip4(C4, S4, UDP, udp(C4, S4, 4000, 80, m))
    return send("client", *e4(b"\x44" + packet[1:]))


def truncated_chain(m: bytes) -> Step:
    """An extension header that says it is longer than the packet."""
    return from6(HOPOPTS, bytes([UDP, 200]) + b"\0" * 6 + udp(C6, S6, 4000, 80, m))


def gre(m: bytes) -> Step:
    """A packet to a closed port, inside GRE."""
    return from4(GRE, b"\0\0" + IPV4.to_bytes(2) + ip4(C4, S4, UDP, udp(C4, S4, 4000, 53, m)))


def unsummed6(m: bytes) -> Step:
    return from6(UDP, udp(C6, S6, 4000, 80, m, summed=False))


def mapped(source: str, destination: str) -> OneStep:
    return lambda m: send("client", *e6(ip6(source, destination, UDP, udp(source, destination, 4000, 80, m))))


def echo(kind: int, code: int = 0) -> OneStep:
    return lambda m: from4(ICMP, icmp(kind, code, m))


def echo6(kind: int, code: int = 0) -> OneStep:
    return lambda m: from6(ICMPV6, icmp6(C6, S6, kind, code, m))


INSIDE = "judged as what the chain ends in"
CLOSED = "no rule allows this protocol"
LEGAL_OPTIONS = "options and headers of an allowed flow pass"
MANY = (HOPOPTS, *((DSTOPTS, ROUTING) * 6))
HEADERS = (
    single("plain udp4", "strict", lambda m: udp4(4000, 80, m), SERVER, "allowed"),
    single("plain udp6", "strict", lambda m: udp6(4000, 80, m), SERVER, "allowed"),
    single("plain udp4 closed", "strict", lambda m: udp4(4000, 53, m), NOBODY, "no rule"),
    single("plain udp6 denied", "open", lambda m: udp6(4000, 53, m), NOBODY, "denied"),
    single("hop-by-hop", "strict", chain6(80, HOPOPTS), SERVER, LEGAL_OPTIONS),
    single("destination options", "strict", chain6(80, DSTOPTS), SERVER, LEGAL_OPTIONS),
    single("thirteen extension headers", "strict", chain6(80, *MANY), SERVER, LEGAL_OPTIONS),
    single("ah on ipv6", "strict", secured6(80), SERVER, LEGAL_OPTIONS),
    single("hop-by-hop to a denied port", "open", chain6(53, HOPOPTS), NOBODY, INSIDE),
    single("destination options to a denied port", "open", chain6(53, DSTOPTS, DSTOPTS), NOBODY, INSIDE),
    single("routing header to a denied port", "open", chain6(53, ROUTING), NOBODY, INSIDE),
    single("hop-by-hop out of place to a denied port", "open", chain6(53, DSTOPTS, HOPOPTS), NOBODY, INSIDE),
    single("thirteen extension headers to a denied port", "open", chain6(53, *MANY), NOBODY, INSIDE),
    single("ah on ipv6 to a denied port", "open", secured6(53), NOBODY, INSIDE),
    single("chain longer than the packet", "open", truncated_chain, NOBODY, "invalid to conntrack"),
    single("unknown next header", "strict", lambda m: from6(EXPERIMENT, m), NOBODY, CLOSED),
    single("no next header", "strict", lambda m: from6(NO_NEXT, m), NOBODY, CLOSED),
    single("mobility header before udp", "strict",
           lambda m: from6(MOBILITY, extension(UDP) + udp(C6, S6, 4000, 80, m)), NOBODY, CLOSED),
    single("esp", "strict", lambda m: from4(ESP, m * 2), NOBODY, CLOSED),
    single("esp where it is allowed", "tunnel", lambda m: from4(ESP, m * 2), SERVER, "allowed by number"),
    single("ah on ipv4", "strict", lambda m: from4(AH, authentication(UDP) + m), NOBODY, CLOSED),
    single("protocol 0", "strict", lambda m: from4(0, udp(C4, S4, 4000, 80, m)), NOBODY, CLOSED),
    single("udp-lite to port 80", "strict", lambda m: from4(UDP_LITE, udp(C4, S4, 4000, 80, m)), NOBODY, CLOSED),
    single("record route", "strict", options4(80, RECORD_ROUTE), SERVER, LEGAL_OPTIONS),
    single("record route to a denied port", "open", options4(53, RECORD_ROUTE), NOBODY, "judged as without"),
    single("loose source route to a denied port", "open", options4(53, LOOSE_ROUTE), NOBODY, "judged as without"),
    single("forty bytes of options to a denied port", "open", options4(53, b"\x01" * 40), NOBODY, "judged as without"),
    single("false header sum", "strict", lying4(80, sum_error=1), NOBODY, "invalid to conntrack"),
    single("false udp sum", "strict", false_sum, NOBODY, "invalid to conntrack"),
    single("no udp sum on ipv6", "strict", unsummed6, NOBODY, "invalid to conntrack (RFC 8200, 8.1)"),
    single("ttl 0", "strict", lying4(80, ttl=0), SERVER, "a bridge does not route, so it asks no TTL"),
    single("ttl 1 to a denied port", "open", lying4(53, ttl=1), NOBODY, "judged whatever the TTL"),
    single("total length beyond the frame", "open", lying4(80, total=1400), NOBODY, "no IP packet, so from nobody"),
    single("total length before the udp header", "open", lying4(53, total=24), NOBODY, "invalid to conntrack"),
    single("total length below the ip header", "open", lying4(53, total=12), NOBODY, "no IP packet, so from nobody"),
    single("total length cuts the payload", "strict", lying4(80, total=30), NOBODY, "the UDP length disagrees"),
    single("payload length beyond the frame", "open", lying6(80, 1400), NOBODY, "no IP packet, so from nobody"),
    single("payload length before the udp header", "open", lying6(53, 4), NOBODY, "invalid to conntrack"),
    single("udp length beyond the packet", "strict", false_udp_length, NOBODY, "invalid to conntrack"),
    single("version 6 as ipv4 to a denied port", "open", wrong_version, NOBODY, "judged by the EtherType"),
    single("header of sixteen bytes", "open", short_header, NOBODY, "no IP packet, so from nobody"),
    single("jumbo frame", "strict", lambda m: udp4(4000, 80, b"j" * 8000 + m), SERVER, "allowed whatever its size"),
    single("jumbo frame to a denied port", "open", lambda m: udp4(4000, 53, b"j" * 8000 + m), NOBODY, "denied"),
    single("padding behind an allowed packet", "strict",
           lambda m: send("client", *(frame + m for frame in e4(ip4(C4, S4, UDP, udp(C4, S4, 4000, 80))))),
           SERVER, "padding belongs to the frame it comes with"),
    single("padding behind a denied packet", "open",
           lambda m: send("client", *(frame + m for frame in e4(ip4(C4, S4, UDP, udp(C4, S4, 4000, 53))))),
           NOBODY, "denied"),
    single("gre", "strict", gre, NOBODY, CLOSED),
    single("gre denied", "open", gre, NOBODY, "denied"),
    single("gre where it is allowed", "tunnel", gre, SERVER, "what a tunnel carries is the tunnel's (docs/limits.md)"),
    single("ip in ip beside an allowed gre", "tunnel",
           lambda m: from4(IP_IN_IP, ip4(C4, S4, UDP, udp(C4, S4, 4000, 53, m))), NOBODY, CLOSED),
    single("ipv6 in ipv4", "strict", lambda m: from4(IPV6_IN_IP, ip6(C6, S6, UDP, udp(C6, S6, 4000, 80, m))),
           NOBODY, CLOSED),
    single("ipv4-mapped source", "open", mapped("::ffff:10.0.0.1", S6), NOBODY, "nobody's address"),
    single("ipv4-mapped destination", "open", mapped(C6, "::ffff:10.0.0.2"), NOBODY, "nobody's address"),
    single("echo", "strict", echo(8), SERVER, "allowed"),
    single("echo on ipv6", "strict", echo6(128), SERVER, "allowed"),
    single("echo with a code", "strict", echo(8, 1), NOBODY, "no opening"),
    single("echo with a code denied", "open", echo(8, 1), NOBODY, "no opening"),
    single("echo on ipv6 with a code denied", "open", echo6(128, 1), NOBODY, "no opening"),
    single("timestamp", "strict", echo(13), NOBODY, "only echo is allowed"),
    single("unasked echo reply", "strict", echo(0), NOBODY, "no opening"),
    single("unasked echo reply denied", "open", echo(0), NOBODY, "no opening"),
    single("unasked echo reply on ipv6", "open", echo6(129), NOBODY, "no opening"),
    single("unknown icmp type", "open", echo(200), NOBODY, "no opening"),
    single("node information query", "open", echo6(139), NOBODY, "no opening"),
    single("icmpv6 on ipv4", "open", lambda m: from4(ICMPV6, icmp6(C6, S6, 128, 0, m)), NOBODY, "of no family"),
    single("icmp on ipv6", "open", lambda m: from6(ICMP, icmp(8, 0, m)), NOBODY, "of no family"),
)  # fmt: skip

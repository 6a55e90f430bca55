"""Attacks by state: packets of no connection, of another's, of one that is over, errors that quote them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from tests.ovs.crafting import (
    ACK,
    ESP,
    FIN,
    GRE,
    ICMP,
    ICMPV6,
    MORE,
    PSH,
    RST,
    SCTP,
    SYN,
    TCP,
    UDP,
    URG,
    icmp,
    icmp6,
    ip4,
    ip6,
    sctp,
    tcp,
    udp,
)
from tests.ovs.crafting_bench import Attack, Replug, Step, Switchover, send
from tests.ovs.crafting_site import four
from tests.ovs.crafting_words import (
    C4,
    C6,
    CLIENT,
    NOBODY,
    S4,
    S6,
    SERVER,
    e4,
    from4,
    from6,
    shaken,
    single,
    tcp4,
    udp4,
    udp6,
)

UNREACHABLE, QUENCH, REDIRECT, EXCEEDED, TOO_BIG = 3, 4, 5, 11, 2
BACK = ("server", "client")
FAR_AWAY = 900_000_000
"""A sequence number in nobody's window."""
OPENED = udp4(4000, 80)
OPENED6 = udp6(4000, 80)
QUOTE = ip4(C4, S4, UDP, udp(C4, S4, 4000, 80, b"quoted"))
QUOTE_BACK = ip4(S4, C4, UDP, udp(S4, C4, 80, 4000, b"quoted"))


def error(
    quoted: bytes, *, sender: str = "friend", to: str = "client", kind: int = UNREACHABLE, code: int = 1
) -> Callable[[bytes], Step]:
    """An ICMP error; its marker stands behind what it quotes."""
    return lambda m: from4(ICMP, icmp(kind, code, quoted + m, word=0), sender, to)


def about(name: str, step: Callable[[bytes], Step], sees: frozenset[str], why: str, before: Step = OPENED) -> Attack:
    return Attack(f"error {name}", "strict", lambda m: (before, step(m)), sees, why)


def error6(sport: int) -> Callable[[bytes], Step]:
    def step(marker: bytes) -> Step:
        quoted = ip6(C6, S6, UDP, udp(C6, S6, sport, 80, b"quoted"))
        return from6(ICMPV6, icmp6(S6, C6, TOO_BIG, 0, quoted + marker, word=0), *BACK)

    return step


def after(name: str, before: tuple[Step, ...], step: Callable[[bytes], Step], sees: frozenset[str], why: str) -> Attack:
    return Attack(name, "strict", lambda m: (*before, step(m)), sees, why)


def unmodelled(attack: Attack) -> Attack:
    return dataclasses.replace(attack, modelled=False)


def spoofed_reply(m: bytes) -> Step:
    """The friend answers in the server's name, with the friend's own MAC."""
    return send("friend", *e4(ip4(S4, C4, UDP, udp(S4, C4, 80, 4000, m)), src="friend", dst="client"))


def forged_reply(m: bytes) -> Step:
    """The friend answers in the server's name, with the server's MAC."""
    return send("friend", *e4(ip4(S4, C4, UDP, udp(S4, C4, 80, 4000, m)), src="server", dst="client"))


def flagged(flags: int) -> tuple[Attack, Attack]:
    name = f"tcp flags {flags:#04x}"
    return (
        single(f"{name} unasked", "strict", lambda m: tcp4((80, 4000), flags, m, BACK), NOBODY, "of no connection"),
        single(f"{name} to a denied port", "open", lambda m: tcp4((4000, 22), flags, m), NOBODY, "denied"),
    )


FLAGS = (ACK, PSH | ACK, FIN, FIN | ACK, RST, RST | ACK, SYN | ACK, 0, FIN | PSH | URG, SYN | FIN, SYN | RST)
CLOSED = (
    *shaken(80),
    tcp4((4000, 80), FIN | ACK, seq=1001, ack=2001),
    tcp4((80, 4000), FIN | ACK, b"", BACK, seq=2001, ack=1002),
    tcp4((4000, 80), ACK, seq=1002, ack=2002),
)
ASSOCIATED = from4(SCTP, sctp(4000, 80, b"init"))


def sctp4(sport: int, dport: int, ends: tuple[str, str] = ("client", "server")) -> Callable[[bytes], Step]:
    return lambda m: from4(SCTP, sctp(sport, dport, m), *ends)


STATES = (
    *(attack for flags in FLAGS for attack in flagged(flags)),
    single("tcp pick-up to an allowed port", "strict", lambda m: tcp4((4000, 80), PSH | ACK, m), SERVER,
           "who may open may go on (docs/limits.md)"),
    after("udp reply", (OPENED,), lambda m: udp4(80, 4000, m, *BACK), CLIENT, "a reply"),
    after("udp6 reply", (OPENED6,), lambda m: udp6(80, 4000, m, *BACK), CLIENT, "a reply"),
    after("tcp data", shaken(80), lambda m: tcp4((4000, 80), PSH | ACK, m, seq=1001, ack=2001), SERVER, "allowed"),
    after("tcp reply data", shaken(80), lambda m: tcp4((80, 4000), PSH | ACK, m, BACK, seq=2001, ack=1001), CLIENT,
          "a reply"),
    single("udp before it is asked", "strict", lambda m: udp4(80, 4000, m, *BACK), NOBODY, "of no connection"),
    after("reply to another port", (OPENED,), lambda m: udp4(80, 4001, m, *BACK), NOBODY, "of no connection"),
    after("reply from another port", (OPENED,), lambda m: udp4(81, 4000, m, *BACK), NOBODY, "of no connection"),
    after("reply of another protocol", (OPENED,), lambda m: tcp4((80, 4000), ACK, m, BACK), NOBODY, "of no connection"),
    after("reply from a third", (OPENED,), lambda m: udp4(80, 4000, m, "friend", "client"), NOBODY, "of no connection"),
    after("reply from a third in the server's name", (OPENED,), spoofed_reply, NOBODY, "not its address"),
    after("reply from a third as the server", (OPENED,), forged_reply, NOBODY, "not its MAC"),
    after("syn as a reply", shaken(80), lambda m: tcp4((80, 4000), SYN, m, BACK, seq=2001), NOBODY, "it opens"),
    unmodelled(after("syn as a reply to a syn", (tcp4((4000, 80), SYN),), lambda m: tcp4((80, 4000), SYN, m, BACK),
                     NOBODY, "it opens")),
    after("syn from the server after close", CLOSED, lambda m: tcp4((80, 4000), SYN, m, BACK), NOBODY, "it opens"),
    after("syn from the client after close", CLOSED, lambda m: tcp4((4000, 80), SYN, m, seq=9000), SERVER, "allowed"),
    after("tcp far out of window", shaken(80), lambda m: tcp4((80, 4000), PSH | ACK, m, BACK, seq=FAR_AWAY, ack=1001),
          NOBODY, "invalid to conntrack"),
    after("rst out of window", shaken(80), lambda m: tcp4((80, 4000), RST, m, BACK, seq=FAR_AWAY), NOBODY,
          "invalid to conntrack"),
    after("echo reply", (from4(ICMP, icmp(8, 0, b"ask")),), lambda m: from4(ICMP, icmp(0, 0, m), *BACK), CLIENT,
          "a reply"),
    unmodelled(after("echo reply with another id", (from4(ICMP, icmp(8, 0, b"ask")),),
                     lambda m: from4(ICMP, icmp(0, 0, m, word=0x78), *BACK), NOBODY, "of no connection")),
    after("echo reply from the asker", (from4(ICMP, icmp(8, 0, b"ask")),), lambda m: from4(ICMP, icmp(0, 0, m)), NOBODY,
          "of no connection"),
    Attack("gre reply", "tunnel", lambda m: (from4(GRE, b"\0" * 8), from4(GRE, m, *BACK)), CLIENT, "a reply"),
    Attack("esp as a reply to gre", "tunnel", lambda m: (from4(GRE, b"\0" * 8), from4(ESP, m, *BACK)), NOBODY,
           "of no connection"),
)  # fmt: skip

ASSOCIATIONS = (
    single("sctp", "strict", sctp4(4000, 80), SERVER, "allowed"),
    after("sctp reply", (ASSOCIATED,), sctp4(80, 4000, BACK), CLIENT, "a reply of an allowed opening"),
    after("sctp hop to another port", (ASSOCIATED,), sctp4(4000, 81), NOBODY, "each is judged by its own ports"),
    after("sctp hop from another port", (ASSOCIATED,), sctp4(81, 4000, BACK), NOBODY, "each by its own ports"),
    after("sctp hop to a third port of the client", (ASSOCIATED,), sctp4(80, 4001, BACK), CLIENT,
          "the portless limit: 4001 to 80 would be allowed (docs/limits.md)"),
    Attack("sctp hop to a denied port", "open", lambda m: (ASSOCIATED, sctp4(4000, 22)(m)), NOBODY, "denied"),
    single("sctp of four bytes to a denied port", "open",
           lambda m: send("client", *(f + m for f in e4(ip4(C4, S4, SCTP, b"\x0f\xa0\0\x16")))), SERVER,
           "no SCTP packet: no port, no stack takes it (docs/limits.md)"),
)  # fmt: skip

ERRORS = (
    about("from anybody about an open connection", error(QUOTE), CLIENT, "allowed as what it quotes, whoever sends it"),
    about("about the other direction", error(QUOTE_BACK, to="server"), SERVER, "allowed as what it quotes"),
    about("of ipv6", error6(4000), CLIENT, "allowed as what it quotes", OPENED6),
    about("of ipv6 about nothing", error6(4001), NOBODY, "it quotes nothing known", OPENED6),
    about("to a third", error(QUOTE, to="victim"), NOBODY, "it quotes what its receiver did not send"),
    about("with the direction swapped", error(QUOTE_BACK), NOBODY, "it quotes what its receiver did not send"),
    about("about nothing", error(ip4(C4, S4, UDP, udp(C4, S4, 4001, 80))), NOBODY, "it quotes nothing known"),
    about("about another protocol", error(ip4(C4, S4, TCP, tcp(C4, S4, 4000, 80))), NOBODY, "it quotes nothing known"),
    about("about a denied packet", error(ip4(C4, S4, UDP, udp(C4, S4, 4000, 53))), NOBODY, "it quotes nothing known",
          udp4(4000, 53)),
    about("that is a redirect", error(QUOTE, kind=REDIRECT), NOBODY, "an endpoint is no router"),
    about("that quotes an error", error(ip4(C4, S4, ICMP, icmp(UNREACHABLE, 1, QUOTE_BACK))), NOBODY, "RFC 1122"),
    about("that quotes a fragment", error(ip4(C4, S4, UDP, udp(C4, S4, 4000, 80), offset=MORE)), NOBODY,
          "invalid to conntrack"),
    about("about sctp", error(ip4(C4, S4, SCTP, sctp(4000, 80, b""))), NOBODY, "nobody can tell its port", ASSOCIATED),
    Attack("error about a connection of others", "strict", lambda m: (
        udp4(4000, 80, b"", "friend", "victim"),
        error(ip4(four("friend"), four("victim"), UDP, udp(four("friend"), four("victim"), 4000, 80)))(m),
    ), NOBODY, "it quotes what its receiver did not send"),
    Attack("error after revocation", "strict", lambda m: (OPENED, Switchover("tunnel"), error(QUOTE)(m)), NOBODY,
           "what it quotes is allowed no longer"),
    Attack("error after the server was replugged", "strict", lambda m: (OPENED, Replug("server"), error(QUOTE)(m)),
           NOBODY, "the connection was another's"),
)  # fmt: skip

LIVES = (
    Attack("udp reply after revocation", "strict",
           lambda m: (OPENED, Switchover("tunnel"), udp4(80, 4000, m, *BACK)), NOBODY, "allowed no longer"),
    Attack("tcp data after revocation", "strict",
           lambda m: (*shaken(80), Switchover("tunnel"), tcp4((4000, 80), PSH | ACK, m, seq=1001, ack=2001)), NOBODY,
           "allowed no longer"),
    Attack("reply after the server was replugged", "strict",
           lambda m: (OPENED, Replug("server"), udp4(80, 4000, m, *BACK)), NOBODY, "the connection was another's"),
    Attack("reply after the client was replugged", "strict",
           lambda m: (OPENED, Replug("client"), udp4(80, 4000, m, *BACK)), NOBODY, "the connection was another's"),
    Attack("data after the client was replugged", "strict",
           lambda m: (OPENED, Replug("client"), udp4(4000, 80, m)), SERVER, "its own opening, which is allowed"),
    Attack("reply once the new client went on", "strict",
           lambda m: (OPENED, Replug("client"), udp4(4000, 80), udp4(80, 4000, m, *BACK)), CLIENT, "a reply to it"),
)  # fmt: skip
CONNECTIONS = (*STATES, *ASSOCIATIONS, *ERRORS, *LIVES)

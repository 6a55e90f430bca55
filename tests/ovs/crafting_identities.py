"""Attacks by identity: others' addresses, other EtherTypes, neighbours and servers that somebody forges."""

from __future__ import annotations

from collections.abc import Callable

from tests.ovs.crafting import (
    ARP,
    HOPOPTS,
    ICMPV6,
    IPV4,
    IPV6,
    UDP,
    arp,
    ether,
    extension,
    icmp6,
    ip4,
    ip6,
    neighbour,
    udp,
)
from tests.ovs.crafting_bench import Step, send
from tests.ovs.crafting_site import four, hardware
from tests.ovs.crafting_words import (
    C4,
    C6,
    CLIENT,
    DHCP,
    F4,
    F6,
    NOBODY,
    S4,
    S6,
    SERVER,
    V4,
    V6,
    VICTIM,
    e6,
    single,
    udp4,
    udp6,
)

EVERYBODY, NO_MAC, GROUP_MAC = "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "01:00:5e:00:00:01"
CLIENT_MAC, SERVER_MAC, FRIEND_MAC = hardware("client"), hardware("server"), hardware("friend")
SOLICITATION, ADVERTISEMENT, ROUTER_SOLICITATION, ROUTER_ADVERTISEMENT, REDIRECT6 = 135, 136, 133, 134, 137
NONCE = 14
OneStep = Callable[[bytes], Step]


def forged(src_mac: str, dst_mac: str, src: str = C4, dst: str = S4, sender: str = "client") -> OneStep:
    """UDP to port 80 with what MACs and addresses one likes."""
    return lambda m: send(sender, ether(src_mac, dst_mac, IPV4, ip4(src, dst, UDP, udp(src, dst, 4000, 80, m))))


def forged6(src_mac: str, dst_mac: str, src: str = C6, dst: str = S6) -> OneStep:
    return lambda m: send("client", ether(src_mac, dst_mac, IPV6, ip6(src, dst, UDP, udp(src, dst, 4000, 80, m))))


def typed(kind: int, *tags: tuple[int, int]) -> OneStep:
    """An allowed packet under another EtherType or behind tags."""
    packet = ip4(C4, S4, UDP, udp(C4, S4, 4000, 80))
    return lambda m: send("client", ether(CLIENT_MAC, SERVER_MAC, kind, packet + m, tags))


def snap(port: int) -> OneStep:
    """IPv4 in an 802.3 frame with LLC and SNAP headers."""

    def step(marker: bytes) -> Step:
        body = b"\xaa\xaa\x03\0\0\0" + IPV4.to_bytes(2) + ip4(C4, S4, UDP, udp(C4, S4, 4000, port, marker))
        return send("client", ether(CLIENT_MAC, SERVER_MAC, len(body), body))

    return step


def asking(op: int, sha: str, spa: str, tpa: str, to: str = EVERYBODY, src: str = CLIENT_MAC) -> OneStep:
    """An ARP packet from the client's port, its marker in the padding."""
    return lambda m: send("client", ether(src, to, ARP, arp(op, sha, spa, NO_MAC, tpa) + m))


def strange_arp(at: int, value: bytes) -> OneStep:
    """An ARP request of the client with some bytes replaced."""
    body = arp(1, CLIENT_MAC, C4, NO_MAC, S4)
    return lambda m: send("client", ether(CLIENT_MAC, EVERYBODY, ARP, body[:at] + value + body[at + len(value) :] + m))


def discovering(
    kind: int, src: str, dst: str, target: str, hardware_option: str, to: str = "33:33:ff:00:00:02"
) -> OneStep:
    """A solicitation or advertisement; its marker is in a further option."""
    option = 1 if kind == SOLICITATION else 2

    def step(marker: bytes) -> Step:
        tail = bytes([NONCE, 3]) + marker.ljust(22, b"\0")
        return send(
            "client", ether(CLIENT_MAC, to, IPV6, neighbour(src, dst, kind, target, option, hardware_option, tail))
        )

    return step


def routing(kind: int, dst: str, to: str) -> OneStep:
    """A message of a router."""
    return lambda m: send("client", ether(CLIENT_MAC, to, IPV6, ip6(
        C6, dst, ICMPV6, icmp6(C6, dst, kind, 0, b"\0" * 32 + m), hops=255)))  # fmt: skip


def listener_report(m: bytes) -> Step:
    report = extension(ICMPV6, b"\x05\x02\0\0\x01\0") + icmp6(C6, "ff02::16", 143, 0, m)
    return send("client", ether(CLIENT_MAC, "33:33:00:00:00:16", IPV6, ip6(C6, "ff02::16", HOPOPTS, report, hops=1)))


def discover(sender: str, mac: str, src: str = "0.0.0.0") -> OneStep:
    every = "255.255.255.255"
    return lambda m: send(sender, ether(mac, EVERYBODY, IPV4, ip4(src, every, UDP, udp(src, every, 68, 67, m))))


def offer(m: bytes) -> Step:
    every = "255.255.255.255"
    return send("friend", ether(FRIEND_MAC, EVERYBODY, IPV4, ip4(F4, every, UDP, udp(F4, every, 67, 68, m))))


NOT_ITS_OWN, TO_ALL, TYPE = "not the address of its port", "no group is listed", "neither IPv4, IPv6 nor ARP"
TAG = "no tags on an access port"
LIES = (
    single("zero mac", "open", forged(NO_MAC, SERVER_MAC), NOBODY, NOT_ITS_OWN),
    single("group mac as source", "open", forged(GROUP_MAC, SERVER_MAC), NOBODY, NOT_ITS_OWN),
    single("mac of another", "open", forged(FRIEND_MAC, SERVER_MAC), NOBODY, NOT_ITS_OWN),
    single("address of another", "open", forged(CLIENT_MAC, SERVER_MAC, F4), NOBODY, NOT_ITS_OWN),
    single("mac and address of another", "open", forged(FRIEND_MAC, SERVER_MAC, F4), NOBODY, NOT_ITS_OWN),
    single("ipv6 address of another", "open", forged6(CLIENT_MAC, SERVER_MAC, F6), NOBODY, NOT_ITS_OWN),
    single("ipv6 link-local address", "open", forged6(CLIENT_MAC, SERVER_MAC, "fe80::1"), NOBODY, NOT_ITS_OWN),
    single("source outside every subnet", "open", forged(CLIENT_MAC, SERVER_MAC, "192.0.2.1"), NOBODY, NOT_ITS_OWN),
    single("source 0.0.0.0", "open", forged(CLIENT_MAC, SERVER_MAC, "0.0.0.0"), NOBODY, NOT_ITS_OWN),
    single("source of all", "open", forged(CLIENT_MAC, SERVER_MAC, "255.255.255.255"), NOBODY, NOT_ITS_OWN),
    single("source ::", "open", forged6(CLIENT_MAC, SERVER_MAC, "::"), NOBODY, NOT_ITS_OWN),
    single("land attack", "open", forged(CLIENT_MAC, SERVER_MAC, S4, S4), NOBODY, NOT_ITS_OWN),
    single("to itself", "open", forged(CLIENT_MAC, CLIENT_MAC, C4, C4), NOBODY, "to its own sender"),
    single("from a port of nobody", "open", forged(hardware("stranger"), SERVER_MAC, "10.0.0.7", S4, "stranger"),
           NOBODY, "a port with no identity is denied"),
    single("from a port of nobody as the client", "open", forged(CLIENT_MAC, SERVER_MAC, C4, S4, "stranger"),
           NOBODY, "a port with no identity is denied"),
    single("mac of one receiver, address of another", "open", forged(CLIENT_MAC, FRIEND_MAC), NOBODY, "no such pair"),
    single("to an unknown address", "open", forged(CLIENT_MAC, SERVER_MAC, C4, "10.0.0.99"), NOBODY, "nobody has it"),
    single("to another network", "open",
           lambda m: udp4(4000, 80, m, "client", "far"), NOBODY, "networks do not reach each other"),
    single("broadcast mac, unicast address", "open", forged(CLIENT_MAC, EVERYBODY), NOBODY, TO_ALL),
    single("group mac, unicast address", "open", forged(CLIENT_MAC, GROUP_MAC), NOBODY, TO_ALL),
    single("unicast mac, group address", "open", forged(CLIENT_MAC, SERVER_MAC, C4, "224.0.0.1"), NOBODY, TO_ALL),
    single("unicast mac, broadcast address", "open", forged(CLIENT_MAC, SERVER_MAC, C4, "255.255.255.255"),
           NOBODY, TO_ALL),
    single("subnet broadcast", "open", forged(CLIENT_MAC, EVERYBODY, C4, "10.0.0.255"), NOBODY, TO_ALL),
    single("unicast mac, ipv6 group address", "open", forged6(CLIENT_MAC, SERVER_MAC, C6, "ff02::1"), NOBODY, TO_ALL),
)  # fmt: skip

TYPES = (
    single("priority tag", "open", typed(IPV4, (0x8100, 0)), NOBODY, TAG),
    single("vlan tag", "open", typed(IPV4, (0x8100, 7)), NOBODY, TAG),
    single("two tags", "open", typed(IPV4, (0x88A8, 7), (0x8100, 8)), NOBODY, TAG),
    single("three tags", "open", typed(IPV4, (0x8100, 1), (0x8100, 2), (0x8100, 3)), NOBODY, TAG),
    single("provider tag", "open", typed(IPV4, (0x88A8, 1)), NOBODY, TAG),
    single("old provider tag", "open", typed(IPV4, (0x9100, 1)), NOBODY, TYPE),
    single("experimental ethertype", "open", typed(0x88B5), NOBODY, TYPE),
    single("lldp", "open", typed(0x88CC), NOBODY, TYPE),
    single("pppoe session", "open", typed(0x8864), NOBODY, TYPE),
    single("mpls", "open", lambda m: send("client", ether(
        CLIENT_MAC, SERVER_MAC, 0x8847, b"\0\0\x11\x40" + ip4(C4, S4, UDP, udp(C4, S4, 4000, 80, m)))), NOBODY, TYPE),
    single("rarp", "open", lambda m: send("client", ether(
        CLIENT_MAC, EVERYBODY, 0x8035, arp(3, CLIENT_MAC, C4, CLIENT_MAC, C4) + m)), NOBODY, TYPE),
    single("spanning tree", "open", lambda m: send("client", ether(
        CLIENT_MAC, "01:80:c2:00:00:00", 3 + len(m), b"\x42\x42\x03" + m)), NOBODY, TYPE),
    single("snap", "strict", snap(80), SERVER, "judged as what it carries"),
    single("snap to a denied port", "open", snap(53), NOBODY, "judged as what it carries"),
    single("runt", "open", lambda m: send("client", ether(CLIENT_MAC, SERVER_MAC, IPV4, m[:4])), NOBODY, "no packet"),
    single("ipv6 as ipv4", "open", lambda m: send("client", ether(
        CLIENT_MAC, SERVER_MAC, IPV4, ip6(C6, S6, UDP, udp(C6, S6, 4000, 80, m)))), NOBODY, "judged by the EtherType"),
)  # fmt: skip

QUERY, NO_QUERY = "answered by the switch, and only to who asks", "no query: nobody hears it"
NEIGHBOURS = (
    single("arp request", "strict", asking(1, CLIENT_MAC, C4, S4), CLIENT, QUERY),
    single("arp request to one", "strict", asking(1, CLIENT_MAC, C4, S4, SERVER_MAC), CLIENT, QUERY),
    single("gratuitous arp", "strict", asking(1, CLIENT_MAC, C4, C4), CLIENT, QUERY),
    single("arp request for nobody", "strict", asking(1, CLIENT_MAC, C4, "10.0.0.99"), NOBODY, "nobody's address"),
    single("arp request for another network", "strict", asking(1, CLIENT_MAC, C4, four("far")), NOBODY, "not in reach"),
    single("arp with the address of another", "strict", asking(1, CLIENT_MAC, F4, S4), NOBODY, NOT_ITS_OWN),
    single("arp with the hardware of another", "strict", asking(1, FRIEND_MAC, C4, S4), NOBODY, NOT_ITS_OWN),
    single("arp from the mac of another", "strict", asking(1, CLIENT_MAC, C4, S4, EVERYBODY, FRIEND_MAC), NOBODY,
           NOT_ITS_OWN),
    single("arp probe", "strict", asking(1, CLIENT_MAC, "0.0.0.0", C4), NOBODY, NOT_ITS_OWN),
    single("arp reply", "strict", asking(2, CLIENT_MAC, C4, S4, SERVER_MAC), NOBODY, NO_QUERY),
    single("arp reply in another's name", "strict", asking(2, CLIENT_MAC, S4, V4, hardware("victim")), NOBODY,
           NOT_ITS_OWN),
    single("gratuitous arp reply", "strict", asking(2, CLIENT_MAC, C4, C4), NOBODY, NO_QUERY),
    single("arp operation 257", "strict", strange_arp(6, b"\x01\x01"), NOBODY, NO_QUERY),
    single("arp of another hardware", "strict", strange_arp(0, b"\0\x06"), NOBODY, "no ARP for IPv4 on Ethernet"),
    single("arp of another address length", "strict", strange_arp(4, b"\x08"), NOBODY, "no ARP for IPv4 on Ethernet"),
    single("solicitation", "strict", discovering(SOLICITATION, C6, "ff02::1:ff00:2", S6, CLIENT_MAC), CLIENT, QUERY),
    single("solicitation to one", "strict", discovering(SOLICITATION, C6, V6, V6, CLIENT_MAC, hardware("victim")),
           CLIENT, QUERY),
    single("solicitation with the hardware of another", "strict",
           discovering(SOLICITATION, C6, "ff02::1:ff00:2", S6, FRIEND_MAC), NOBODY, NOT_ITS_OWN),
    single("duplicate address detection", "strict",
           discovering(SOLICITATION, "::", "ff02::1:ff00:2", S6, CLIENT_MAC), NOBODY, "silence says it is free"),
    single("advertisement", "strict", discovering(ADVERTISEMENT, C6, S6, C6, CLIENT_MAC, SERVER_MAC), NOBODY, NO_QUERY),
    single("advertisement in another's name", "open",
           discovering(ADVERTISEMENT, C6, V6, S6, CLIENT_MAC, hardware("victim")), NOBODY, NO_QUERY),
    single("advertisement to all", "open",
           discovering(ADVERTISEMENT, C6, "ff02::1", C6, CLIENT_MAC, "33:33:00:00:00:01"), NOBODY, NO_QUERY),
    single("router solicitation", "open", routing(ROUTER_SOLICITATION, "ff02::2", "33:33:00:00:00:02"), NOBODY, TO_ALL),
    single("router advertisement to all", "open", routing(ROUTER_ADVERTISEMENT, "ff02::1", "33:33:00:00:00:01"), NOBODY,
           "an endpoint is no router"),
    single("router advertisement to one", "open", routing(ROUTER_ADVERTISEMENT, S6, SERVER_MAC), NOBODY,
           "an endpoint is no router"),
    single("redirect on ipv6", "open", routing(REDIRECT6, S6, SERVER_MAC), NOBODY, "an endpoint is no router"),
    single("router advertisement behind options", "open", lambda m: send("client", *e6(ip6(
        C6, S6, HOPOPTS, extension(ICMPV6) + icmp6(C6, S6, ROUTER_ADVERTISEMENT, 0, b"\0" * 8 + m), hops=255))), NOBODY,
        "an endpoint is no router"),
    single("multicast listener report", "open", listener_report, NOBODY, TO_ALL),
)  # fmt: skip

SERVED, FORGED_SERVER = "DHCP reaches only the declared server", "only the declared server answers DHCP"
SERVICES = (
    single("dhcp discover", "strict", discover("client", CLIENT_MAC), DHCP, SERVED),
    single("dhcp discover as another", "strict", discover("client", FRIEND_MAC), NOBODY, NOT_ITS_OWN),
    single("dhcp discover from a port of nobody", "strict", discover("stranger", hardware("stranger")), NOBODY,
           NOT_ITS_OWN),
    single("dhcp discover with an address", "strict", discover("client", CLIENT_MAC, C4), NOBODY, TO_ALL),
    single("dhcp discover from another network", "strict", discover("far", hardware("far")), NOBODY, "not its server"),
    single("dhcp offer to all", "open", offer, NOBODY, FORGED_SERVER),
    single("dhcp reply to one", "strict", lambda m: udp4(67, 68, m, "friend", "victim"), NOBODY, FORGED_SERVER),
    single("dhcpv6 reply to one", "strict", lambda m: udp6(547, 546, m, "friend", "victim"), NOBODY, FORGED_SERVER),
    single("dhcp reply from the server", "open", lambda m: udp4(67, 68, m, "dhcp", "victim"), VICTIM, "judged as any"),
    single("dhcp reply from the server where none is allowed", "strict", lambda m: udp4(67, 68, m, "dhcp", "victim"),
           NOBODY, "judged as any"),
    single("from port 53", "strict", lambda m: udp4(53, 9999, m), NOBODY, "a source port opens nothing"),
    single("from port 67", "strict", lambda m: udp4(67, 9999, m), NOBODY, "a source port opens nothing"),
    single("from the allowed port", "strict", lambda m: udp4(80, 9999, m), NOBODY, "a source port opens nothing"),
    single("dhcp request to one", "strict", lambda m: udp4(68, 67, m), NOBODY, "judged as any"),
)  # fmt: skip
IDENTITIES = (*LIES, *TYPES, *NEIGHBOURS, *SERVICES)

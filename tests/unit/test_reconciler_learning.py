"""What packets say of addresses: read when sound, ignored when not, whatever the bytes."""

from __future__ import annotations

import random
import struct
from ipaddress import ip_address

import pytest

from ryu_apps.sightings import Seen, read

MAC, OTHER = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
NAME = "02:00:00:00:00:01"


def arp(sender=MAC, spa="10.0.0.1", op=1):
    body = struct.pack("!HHBBH", 1, 0x800, 6, 4, op) + sender + ip_address(spa).packed + bytes(6) + bytes(4)
    return b"\xff" * 6 + MAC + b"\x08\x06" + body


def nd(kind, source, target, hops=255):
    message = struct.pack("!BBHI", kind, 0, 0, 0) + ip_address(target).packed
    header = struct.pack("!IHBB", 6 << 28, len(message), 58, hops)
    return b"\x33\x33\xff" + bytes(3) + MAC + b"\x86\xdd" + header + ip_address(source).packed + bytes(16) + message


def dhcp(kind=5, address="10.0.0.9", client=MAC, ports=(67, 68), options=None):
    fixed = struct.pack("!BBBBIHHII", 2, 1, 6, 0, 1, 0, 0, 0, int(ip_address(address))) + bytes(8)
    fixed += client.ljust(16, b"\0") + bytes(192)
    body = fixed + b"\x63\x82\x53\x63" + (options or bytes([0, 54, 4, 10, 0, 0, 1, 53, 1, kind, 255]))
    udp = struct.pack("!HHHH", *ports, 8 + len(body), 0) + body
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + bytes(8)
    return MAC + OTHER + b"\x08\x00" + ip + udp


@pytest.mark.parametrize(
    ("packet", "seen"),
    [
        (arp(), Seen("arp", NAME, ip_address("10.0.0.1"))),
        (arp(op=2), Seen("arp", NAME, ip_address("10.0.0.1"))),
        (arp(sender=OTHER), None),
        (arp(spa="0.0.0.0"), None),
        (nd(135, "fd00::1", "fd00::2"), Seen("nd", NAME, ip_address("fd00::1"))),
        (nd(136, "fe80::1", "fd00::3"), Seen("nd", NAME, ip_address("fd00::3"))),
        (nd(135, "::", "fd00::2"), None),
        (nd(135, "fd00::1", "fd00::2", hops=254), None),
        (nd(134, "fe80::1", "fd00::2"), None),
        (dhcp(), Seen("dhcp", NAME, ip_address("10.0.0.9"))),
        (dhcp(kind=2), None),
        (dhcp(ports=(68, 67)), None),
        (dhcp(address="0.0.0.0"), None),
        (dhcp(options=bytes([53, 1])), None),
        (dhcp(options=bytes([12, 200, 1])), None),
        (b"", None),
    ],
)
def test_sightings(packet, seen):
    assert read(packet) == seen


def test_no_bytes_whatever_raise_or_hang():
    draw = random.Random(1)
    sound = [arp(), nd(135, "fd00::1", "fd00::2"), nd(136, "fe80::1", "fd00::3"), dhcp()]
    for _ in range(5000):
        packet = bytearray(draw.choice(sound))
        for _ in range(draw.randrange(6)):
            packet[draw.randrange(len(packet))] = draw.randrange(256)
        read(bytes(packet[: draw.randrange(len(packet) + 1)]))

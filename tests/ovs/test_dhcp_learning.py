"""A client without an address gets one from the declared server, and only then may it talk."""

from __future__ import annotations

import socket
import struct
import time
from ipaddress import ip_address

import pytest

from mininet_scenarios import namespaces
from tests.ovs.controller_bench import until

CLIENT, SERVER, ROGUE = (bytes.fromhex(f"02000000000{n}") for n in (1, 2, 3))
ADDRESSES = {"server": "10.0.0.2", "rogue": "10.0.0.3"}
INTENTS = """
{kind: Network, name: lan, subnets: [10.0.0.0/24], dhcpServer: server, learn: [dhcp]}
---
kind: Policy
name: talk
rules: [{action: allow, from: [{labels: {app: client}}], to: [{endpoint: server}]}]
"""
ETH_IPV4 = 0x0800


def frame(ends: tuple[bytes, bytes], addresses: tuple[str, str], ports: tuple[int, int], body: bytes) -> bytes:
    """Return UDP in IPv4 in Ethernet, each from the first to the second."""
    udp = struct.pack("!HHHH", *ports, 8 + len(body), 0) + body
    src, dst = (ip_address(a).packed for a in addresses)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + src + dst
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:]
    return ends[1] + ends[0] + struct.pack("!H", ETH_IPV4) + head + udp


def message(op: int, kind: int, address: str = "0.0.0.0") -> bytes:
    fixed = struct.pack("!BBBBIHHII", op, 1, 6, 0, 7, 0, 0, 0, int(ip_address(address))) + bytes(8)
    return fixed + CLIENT.ljust(16, b"\0") + bytes(192) + b"\x63\x82\x53\x63" + bytes([53, 1, kind, 255])


class Wire:
    """A raw socket at one workload."""

    def __init__(self, netns: str) -> None:
        with namespaces.entered(netns):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_IPV4))
        self.socket.bind(("eth0", ETH_IPV4))

    def heard(self, ports: tuple[int, int], timeout_s: float = 20.0) -> bool:
        """Whether a UDP packet of these ports comes in."""
        give_up_at = time.monotonic() + timeout_s
        while (left := give_up_at - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                data, about = self.socket.recvfrom(2048)
            except TimeoutError:
                return False
            if about[2] != socket.PACKET_OUTGOING and struct.unpack_from("!HH", data, 34) == ports:
                return True
        return False


@pytest.fixture
def bench(bench):
    bench.start()
    assert until(bench.is_connected), bench.said()
    bench.wires = {}
    for number, name in ((1, "client"), (2, "server"), (3, "rogue")):
        nic = bench.nic(number)
        known = {"ringfence:ip": ADDRESSES[name]} if name in ADDRESSES else {}
        bench.plug(nic, {"iface-id": name, "ringfence:label/app": name, **known})
        bench.wires[name] = Wire(nic.netns)
    bench.apply(INTENTS)
    yield bench
    for wire in bench.wires.values():
        wire.socket.close()
    bench.stop()


def live(bench, name: str) -> list[str]:
    items = bench.ask("GET", "/v1/live/endpoints")[1]["items"]
    return next((item["addresses"] for item in items if item["name"] == name), [])


def test_an_address_is_learned_from_the_declared_server_and_from_nobody_else(bench) -> None:
    client, server, rogue = (bench.wires[n] for n in ("client", "server", "rogue"))
    assert until(lambda: live(bench, "server"))
    discover = frame((CLIENT, b"\xff" * 6), ("0.0.0.0", "255.255.255.255"), (68, 67), message(1, 1))
    hello = frame((CLIENT, SERVER), ("10.0.0.9", "10.0.0.2"), (5000, 6000), b"hello")

    def asks() -> bool:
        client.socket.send(discover)
        return server.heard((68, 67), 0.3)

    assert until(asks), "the request reaches the declared server"
    assert not rogue.heard((68, 67), 0.2), "and nobody else"
    rogue.socket.send(frame((ROGUE, CLIENT), ("10.0.0.3", "10.0.0.66"), (67, 68), message(2, 5, "10.0.0.66")))
    assert not client.heard((67, 68), 0.3), "another's answer is dropped"
    client.socket.send(hello)
    assert not server.heard((5000, 6000), 0.3), "without an address nothing passes"
    server.socket.send(frame((SERVER, CLIENT), ("10.0.0.2", "10.0.0.9"), (67, 68), message(2, 5, "10.0.0.9")))
    assert client.heard((67, 68)), "the server's answer comes by MAC"
    assert until(lambda: "10.0.0.9" in str(live(bench, "client"))), bench.said()

    def talks() -> bool:
        client.socket.send(hello)
        return server.heard((5000, 6000), 0.3)

    assert until(talks), "and policy knows the address now"
    assert live(bench, "client") == ["10.0.0.9"]

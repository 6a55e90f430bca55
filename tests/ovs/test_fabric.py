"""Switches wired to each other, for real: links are proven, packets find their way, forgers achieve nothing."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import time

import pytest

from mininet_scenarios import namespaces
from mininet_scenarios.datagrams import Stream
from mininet_scenarios.fabric import BRIDGE, FAT_TREE_EDGES, FabricSite, fat_tree, linear, ring, said, tree
from tests.ovs.controller_bench import until
from topology.fabric import number_of
from topology.lldp import frame
from topology.paths import LinkEnd

LAN = """
{kind: Network, name: lan, posture: allow, subnets: [10.9.0.0/24]}
---
kind: Policy
name: not-this
rules: [{action: deny, from: [{labels: {app: h1}}], to: [{labels: {app: h3}}], services: [udp/4000]}]
"""


def up(site: FabricSite) -> FabricSite:
    site.start()
    site.apply(LAN)
    site.settle()
    return site


@pytest.mark.parametrize(
    ("wires", "edges"),
    [(linear(4), (1, 3, 4)), (ring(4), (1, 2, 3)), (tree(3, 2), (1, 3, 4, 7))],
    ids=["linear", "ring", "tree"],
)
def test_every_host_reaches_every_other_over_any_wiring(janitor, wires, edges):
    site = up(FabricSite(janitor, wires, edges))
    assert [pair for pair in site.pairs() if not site.reaches(*pair)] == []
    with Stream(site, "h1", "h3", 4000) as denied, Stream(site, "h1", "h3", 4001) as allowed:
        assert until(lambda: len(allowed.arrived) > 100 and denied.sent > 100)
    assert denied.arrived == []
    assert "fault of ours" not in said(site)


def raw(netns: str, device: str, data: bytes) -> None:
    with namespaces.entered(netns):
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sender.bind((device, 0))
    sender.send(data)
    sender.close()


def test_forged_and_relayed_proofs_change_nothing_and_are_reported_once(janitor, figure):
    """The third switch's wire is held by an attacker: it forges, it replays, it relays what it hears."""
    site = up(FabricSite(janitor, ring(3), (1, 2)))
    before = {n: site.state(n) for n in site.numbers}
    ports = {
        int(number): name for number, name in re.findall(r"(\d+)\((l[\d-]+)\)", site.switches[3].ofctl("show", BRIDGE))
    }
    give_up_at = time.monotonic() + 60
    forged = frame(bytes(32), LinkEnd(3, min(ports)), int(time.time()))
    for _ in range(20):
        raw(site.switches[1].netns, "l1-2", forged)  # out to switch 2, as if switch 3 had sent it
        raw(site.hosts["h1"].netns, "eth0", forged)  # and from an endpoint
        time.sleep(0.02)
    while "relays" not in said(site):
        tap(site, "l1-3", "l1-2", 1, 3)
        assert time.monotonic() < give_up_at, said(site)[-2000:]
    time.sleep(1)
    assert site.links_up() == {(1, 2), (2, 3), (1, 3)}
    assert {n: site.state(n) for n in site.numbers} == before
    events = [line for line in said(site).splitlines() if "link port" in line]
    figure("lines about forged and relayed proofs", len(events), "lines")
    assert 1 <= len(events) <= 4, events
    assert any("pretends to prove" in line for line in events)
    assert any("relays" in line for line in events)
    reported = [r["problem"] for r in site.ask("GET", "/v1/status")["reports"]]
    assert any("relays" in problem for problem in reported)
    assert len(reported) == len(set(reported)) <= 4


def tap(site: FabricSite, source: str, target: str, number: int, seconds: float) -> None:
    """Send what comes in on one wire out on another, as somebody who sits on both."""
    netns = site.switches[number].netns
    with namespaces.entered(netns):
        hear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88CC))
        speak = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    hear.bind((source, 0x88CC))
    hear.settimeout(0.2)
    speak.bind((target, 0))
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        try:
            speak.send(hear.recv(2048))
        except TimeoutError:
            continue
    hear.close()
    speak.close()


def datagram(source: str, destination: str, port: int) -> bytes:
    """Return a valid IPv4 packet with a UDP datagram."""
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 32, 0, 0, 64, 17, 0) + addresses
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:]
    return head + struct.pack("!HHHH", 4000, port, 12, 0) + b"evil"


def test_an_endpoint_cannot_speak_as_a_switch(janitor):
    """Frames with the MACs that switches write, from an endpoint's port, reach nobody; its own do."""
    site = up(FabricSite(janitor, linear(2), (1, 2)))
    one, other = site.hosts["h1"], site.hosts["h2"]
    with namespaces.entered(other.netns):
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind((other.address, 6000))
    receiver.settimeout(1.0)
    packet = b"\x08\x00" + datagram(one.address, other.address, 6000)
    edge, near = (b"\x06" + number_of(dpid).to_bytes(3, "big") for dpid in (2, 1))
    mac, far = (bytes.fromhex(f"0200000009{n:02x}") for n in (1, 2))
    for network in range(4):
        for hops in (b"\xff\xff", b"\0\x01", b"\0\0"):
            raw(one.netns, "eth0", edge + network.to_bytes(2, "big") + near + hops + packet)
            raw(one.netns, "eth0", edge + network.to_bytes(2, "big") + mac + packet)
    with pytest.raises(TimeoutError):
        receiver.recv(64)
    receiver.settimeout(30)
    raw(one.netns, "eth0", far + mac + packet)
    assert receiver.recv(64) == b"evil"
    receiver.close()


def test_a_restarted_controller_sends_nothing_and_loses_nothing(janitor):
    site = up(FabricSite(janitor, ring(3), (1, 2, 3)))
    before = {n: site.state(n) for n in site.numbers}
    with Stream(site, "h1", "h2", 5000) as stream:
        time.sleep(0.3)
        site.stop()
        time.sleep(0.5)
        site.start()
        site.settle()
        time.sleep(1)
    assert {n: site.state(n) for n in site.numbers} == before
    assert stream.sent > 100
    assert stream.lost == 0


def test_connections_between_two_hosts_are_spread_over_the_shortest_ways(janitor):
    site = up(FabricSite(janitor, ring(4), (1, 3)))

    def sent() -> list[int]:
        said = [site.switches[1].ofctl("dump-ports", BRIDGE, site.port(1, n)) for n in (2, 4)]
        return [int(re.search(r"tx pkts=(\d+)", text)[1]) for text in said]

    before = sent()
    for port in range(7000, 7064):
        with namespaces.entered(site.hosts["h1"].netns):
            client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        client.settimeout(30)
        with client, contextlib.suppress(ConnectionRefusedError):
            client.connect((site.hosts["h3"].address, port))
    spread = [now - then for then, now in zip(before, sent(), strict=True)]
    assert min(spread) >= 12, spread


def test_a_ring_turns_the_other_way_when_a_wire_breaks_and_back(janitor, figure):
    site = up(FabricSite(janitor, ring(4), (1, 2, 3, 4)))
    with Stream(site, "h1", "h2", 5000) as stream:
        time.sleep(0.5)
        site.cut(1, 2)
        site.settle(without=[(1, 2)])
        time.sleep(0.5)
        site.mend(1, 2)
        site.settle()
        time.sleep(0.5)
    figure("ring: longest silence when a wire breaks and is mended", round(stream.silence_s() * 1000, 1), "ms")
    assert stream.outage_s() < 0.5
    assert [pair for pair in site.pairs() if not site.reaches(*pair)] == []


@pytest.mark.parametrize("wire", [(1, 5)], ids=["core"])
def test_a_fat_tree_loses_next_to_nothing_when_a_wire_breaks(janitor, figure, wire):
    """What is not lost was turned by the switches themselves: the controller computes later."""
    site = up(FabricSite(janitor, fat_tree(), FAT_TREE_EDGES))
    assert [pair for pair in site.pairs() if pair[0] == "h7" and not site.reaches(*pair)] == []
    streams = [Stream(site, "h7", other, 5000 + n) for n, other in enumerate(("h8", "h11", "h20"))]
    streams += [Stream(site, other, "h7", 5100 + n) for n, other in enumerate(("h8", "h12", "h16"))]
    with contextlib.ExitStack() as stack:
        for stream in streams:
            stack.enter_context(stream)
        time.sleep(1)
        began = time.monotonic()
        site.cut(*wire)
        time.sleep(1.5)
    silences = [stream.silence_s(began) for stream in streams]
    figure(f"fat tree, wire {wire}: longest silence of a stream", round(max(silences) * 1000, 1), "ms")
    site.settle(without=[wire])
    assert [pair for pair in site.pairs() if "h7" in pair and not site.reaches(*pair)] == []
    outages = [stream.outage_s(began) for stream in streams]
    figure(f"fat tree, wire {wire}: longest outage of a stream", round(max(outages) * 1000, 1), "ms")
    assert max(outages) < 0.1, (outages, silences)

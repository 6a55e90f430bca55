"""The host as the world: an internal port, real ARP and TCP both ways, and what must not come in by it."""

from __future__ import annotations

import socket
import subprocess

import pytest

from mininet_scenarios import namespaces
from tests.ovs.controller_bench import until

WEB, DB, HOST = "10.1.0.5", "10.2.0.5", "192.0.2.1"
ATTEMPTS = 4
ADDRESSES = {"web": WEB, "db": DB, "host": HOST}
SITE = """
- {kind: Network, name: front, subnets: [10.1.0.0/24], gateways: [10.1.0.1]}
- {kind: Network, name: back, subnets: [10.2.0.0/24], gateways: [10.2.0.1]}
- {kind: Router, name: edge, networks: [front, back], uplink: world}
- {kind: Uplink, name: world, binding: {bridge: br-ring, interface: ring-up}}
- kind: Policy
  name: web
  rules:
  - {action: allow, from: [{world: true}], to: [{endpoint: web}], services: [tcp/80]}
  - {action: allow, from: [{endpoint: web}], to: [{cidr: 192.0.2.0/24}, {endpoint: db}], services: [tcp/80]}
"""


def ip(netns: str, *words: str) -> None:
    subprocess.run(["ip", "-n", netns, *words], check=True, capture_output=True)


@pytest.fixture
def bench(bench, ovs):
    """Two endpoints in two networks, and the switch's own namespace as the host behind the uplink."""
    bench.start()
    assert until(bench.is_connected), bench.said()
    bench.hosts = {"host": ovs.netns}
    ovs.vsctl("add-port", "br-ring", "ring-up", "--", "set", "interface", "ring-up", "type=internal")
    for words in ("addr add 192.0.2.1/32 dev lo", "link set lo up", "link set ring-up up"):
        ip(ovs.netns, *words.split())
    for subnet in ("10.1.0.0/24", "10.2.0.0/24"):
        ip(ovs.netns, "route", "add", subnet, "dev", "ring-up", "src", HOST)
    for number, name, network in ((1, "web", "front"), (2, "db", "back")):
        address = ADDRESSES[name]
        nic = bench.nic(number, address)
        bench.plug(nic, {"iface-id": name, "ringfence:ip": address, "ringfence:network": network})
        ip(nic.netns, "route", "replace", "default", "via", address.rpartition(".")[0] + ".1", "dev", nic.inner)
        bench.hosts[name] = nic.netns
    bench.listeners = [serve(bench.hosts[name], ADDRESSES[name]) for name in ("web", "db", "host")]
    bench.apply(SITE)
    assert until(lambda: knock(bench, "web", HOST)), bench.said()
    yield bench
    for listener in bench.listeners:
        listener.close()
    bench.stop()


def serve(netns: str, address: str) -> socket.socket:
    with namespaces.entered(netns):
        return socket.create_server((address, 80), backlog=64)


def knock(bench, who: str, address: str, *, source: str = "", ttl: int = 64) -> bool:
    """Say whether a TCP connection to port 80 opens."""
    with namespaces.entered(bench.hosts[who]):
        client = socket.socket()
    with client:
        client.settimeout(0.5)
        client.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        if source:
            client.bind((source, 0))
        try:
            client.connect((address, 80))
        except OSError:
            return False
    return True


def reaches(bench, who: str, address: str, *, ttl: int = 64) -> bool:
    """Say whether one of a few attempts opens: a busy machine may take longer than one of them waits."""
    return any(knock(bench, who, address, ttl=ttl) for _ in range(ATTEMPTS))


def drops(bench, guard: str) -> int:
    """Return how many packets a guard dropped, says the controller."""
    found = bench.ask("GET", "/v1/counters")[1]["drops"]
    return sum(item["packets"] for item in found if item["cause"] == f"guard {guard}")


def test_the_host_and_endpoints_reach_each_other_as_policy_says(bench) -> None:
    pairs = [("host", "web"), ("host", "db"), ("web", "db"), ("web", "host"), ("db", "web"), ("db", "host")]
    assert [reaches(bench, a, ADDRESSES[b]) for a, b in pairs] == [True, False, True, True, False, False]


def test_a_packet_out_of_hops_ends_at_the_router_and_is_counted(bench) -> None:
    assert not knock(bench, "web", DB, ttl=1)
    assert reaches(bench, "web", DB, ttl=2)
    assert until(lambda: drops(bench, "ttl") > 0)


def test_the_world_cannot_speak_as_the_domain(bench) -> None:
    ip(bench.hosts["host"], "addr", "add", "10.2.0.77/32", "dev", "lo")
    assert not knock(bench, "host", WEB, source="10.2.0.77")
    assert until(lambda: drops(bench, "spoofed") > 0)


def test_the_way_ends_with_the_port(bench, ovs) -> None:
    ovs.vsctl("del-port", "br-ring", "ring-up")
    assert until(lambda: not knock(bench, "web", HOST))
    assert reaches(bench, "web", DB)

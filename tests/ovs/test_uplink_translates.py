"""An uplink that translates, with real packets: the host is the world, and never sees an endpoint's own address."""

from __future__ import annotations

import socket
import subprocess
import threading

import pytest

from mininet_scenarios import namespaces
from mininet_scenarios.namespaces import Nic, plug
from tests.ovs.controller_bench import ControllerBench, until

WEB6, HOST6, SHOWN6 = "fd01::5", "2001:db8:9::1", "2001:db8:f::10"
WEB, DB, HOST, SHOWN = "10.1.0.5", "10.2.0.5", "192.0.2.1", "203.0.113.10"
SITE = """
- {kind: Network, name: front, subnets: [10.1.0.0/24, "fd01::/64"], gateways: [10.1.0.1, "fd01::1"]}
- {kind: Network, name: back, subnets: [10.2.0.0/24], gateways: [10.2.0.1]}
- {kind: Router, name: edge, networks: [front, back], uplink: world}
- kind: Uplink
  name: world
  binding: {bridge: br-ring, interface: ring-up}
  snat: [203.0.113.10, "2001:db8:f::10"]
  forwards:
  - {address: 203.0.113.10, service: tcp/8080, to: {endpoint: web}, toPort: 80}
  - {address: 203.0.113.10, service: tcp/8081, to: {endpoint: db}, toPort: 80}
  - {address: 203.0.113.10, service: udp/5000-5009, to: {address: 10.1.0.5}}
  - {address: "2001:db8:f::10", service: tcp/8080, to: {endpoint: web}, toPort: 80}
- kind: Group
  name: outside
  members: [{cidr: 192.0.2.1/32}, {cidr: "2001:db8:9::1/128"}]
- kind: Policy
  name: web
  rules:
  - {action: allow, from: [{group: outside}], to: [{endpoint: web}], services: [tcp/80, udp/5000-5009]}
  - {action: allow, from: [{endpoint: web}], to: [{group: outside}], services: [tcp/80, udp/53, icmp/8, icmpv6/128]}
"""


def ip(netns: str, *words: str) -> None:
    subprocess.run(["ip", "-n", netns, *words], check=True, capture_output=True)


@pytest.fixture
def bench(janitor, ovs):
    """Two endpoints in two networks, and the switch's own namespace as the host behind the uplink."""
    bench = ControllerBench(janitor, ovs).start()
    assert until(bench.is_connected), bench.said()
    bench.hosts = {"host": ovs.netns}
    ovs.vsctl("add-port", "br-ring", "ring-up", "--", "set", "interface", "ring-up", "type=internal")
    for words in ("addr add 192.0.2.1/32 dev lo", "link set lo up", "link set ring-up up"):
        ip(ovs.netns, *words.split())
    for block in ("10.1.0.0/24", "10.2.0.0/24", f"{SHOWN}/32"):
        ip(ovs.netns, "route", "add", block, "dev", "ring-up", "src", HOST)
    ip(ovs.netns, "addr", "add", f"{HOST6}/128", "dev", "lo")
    ip(ovs.netns, "-6", "route", "add", f"{SHOWN6}/128", "dev", "ring-up", "src", HOST6)
    nics = []
    addresses = {"web": (WEB, WEB6), "db": (DB,)}
    for number, name in enumerate(addresses, 1):
        bench.hosts[name] = janitor.netns()
        nics.append(Nic(bench.hosts[name], janitor.fresh("v"), f"02:00:00:00:00:{number:02x}", addresses[name]))
    plug(nics, ovs.netns)
    for nic, name, network, address in zip(nics, ("web", "db"), ("front", "back"), (WEB, DB), strict=True):
        ids = {
            "iface-id": name,
            "attached-mac": nic.mac,
            "ringfence:ip": ",".join(addresses[name]),
            "ringfence:network": network,
        }
        words = [f'external_ids:"{key}"="{value}"' for key, value in ids.items()]
        ovs.vsctl("add-port", "br-ring", nic.outer, "--", "set", "interface", nic.outer, *words)
        ip(bench.hosts[name], "route", "replace", "default", "via", address.rpartition(".")[0] + ".1", "dev", nic.inner)
    ip(bench.hosts["web"], "-6", "route", "replace", "default", "via", "fd01::1", "dev", nics[0].inner)
    bench.apply(SITE)
    yield bench
    bench.stop()


class Peers:
    """Listens on TCP in a namespace, and tells every client by what address it is seen."""

    def __init__(self, netns: str, address: str, port: int = 80) -> None:
        with namespaces.entered(netns):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            self._listener = socket.create_server((address, port), family=family, backlog=64)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        try:
            while True:
                client, (address, *_) = self._listener.accept()
                with client:
                    client.sendall(address.encode())
        except OSError:
            return

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def peers(bench):
    found = [Peers(bench.hosts[name], address) for name, address in (("web", WEB), ("db", DB), ("host", HOST))]
    found += [Peers(bench.hosts[name], address) for name, address in (("web", WEB6), ("host", HOST6))]
    yield found
    for each in found:
        each.close()


def seen_as(bench, who: str, address: str, port: int = 80) -> str:
    """Return by what address a server sees a client; nothing if the connection does not open."""
    with namespaces.entered(bench.hosts[who]):
        client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    with client:
        client.settimeout(0.6)
        try:
            client.connect((address, port))
            return client.recv(64).decode()
        except OSError:
            return ""


def drops(bench, guard: str) -> int:
    found = bench.ask("GET", "/v1/counters")[1]["drops"]
    return sum(item["packets"] for item in found if item["cause"] == f"guard {guard}")


def test_addresses_are_translated_both_ways_and_nothing_passes_without(bench, peers) -> None:
    assert until(lambda: seen_as(bench, "web", HOST) == SHOWN), bench.said()
    assert until(lambda: seen_as(bench, "host", SHOWN, 8080) == HOST)
    assert seen_as(bench, "db", HOST) == ""
    assert seen_as(bench, "host", SHOWN, 8081) == ""
    assert seen_as(bench, "host", SHOWN, 8082) == ""
    assert seen_as(bench, "host", WEB) == ""
    assert until(lambda: drops(bench, "translation") > 0)


def test_ipv6_likewise(bench, peers) -> None:
    assert until(lambda: seen_as(bench, "web", HOST6) == SHOWN6), bench.said()
    assert until(lambda: seen_as(bench, "host", SHOWN6, 8080) == HOST6)
    assert seen_as(bench, "host", SHOWN6, 8081) == ""
    ping = ["ip", "netns", "exec", bench.hosts["web"], "ping", "-c1", "-W20", HOST6]
    assert not subprocess.run(ping, capture_output=True, check=False).returncode


def test_pings_datagrams_and_errors_about_them_are_translated(bench) -> None:
    ping = ["ping", "-c1", "-W1", HOST]
    where = ["ip", "netns", "exec", bench.hosts["web"]]
    assert until(lambda: not subprocess.run([*where, *ping], capture_output=True, check=False).returncode)
    with namespaces.entered(bench.hosts["web"]):
        out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with namespaces.entered(bench.hosts["host"]):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with out, listening, client:
        for each in (out, listening, client):
            each.settimeout(30)
        out.connect((HOST, 53))
        out.send(b"anybody there?")
        with pytest.raises(ConnectionRefusedError):  # the host's port unreachable, about a packet it saw translated
            out.recv(10)
        listening.bind((WEB, 5003))
        client.connect((SHOWN, 5003))
        client.send(b"hello")
        data, source = listening.recvfrom(10)
        assert (data, source[0]) == (b"hello", HOST)
        listening.sendto(b"yes", source)
        assert client.recv(10) == b"yes"
        client.connect((SHOWN, 5004))
        client.send(b"nobody listens there")
        with pytest.raises(ConnectionRefusedError):  # web's port unreachable, in the name of what the host knows
            client.recv(10)


def test_fragments_do_not_pass(bench) -> None:
    with namespaces.entered(bench.hosts["host"]):
        listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listening.bind((HOST, 53))
    with namespaces.entered(bench.hosts["web"]):
        out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with listening, out:

        def hears(size: int, wait_s: float = 0.5) -> bool:
            listening.settimeout(wait_s)
            out.sendto(bytes(size), (HOST, 53))
            try:
                while len(listening.recv(4000)) != size:  # one of before, that came late
                    continue
            except TimeoutError:
                return False
            return True

        assert until(lambda: hears(100)), bench.said()
        assert not hears(3000)
        assert hears(1400, 30)
    assert until(lambda: drops(bench, "translation") > 0)


def test_a_forward_follows_its_endpoint(bench, peers, ovs) -> None:
    assert until(lambda: seen_as(bench, "host", SHOWN, 8080) == HOST), bench.said()
    port = next(name for name in ovs.vsctl("list-ports", "br-ring").split() if name.startswith("rf"))
    ovs.vsctl("del-port", "br-ring", port)
    assert until(lambda: seen_as(bench, "host", SHOWN, 8080) == "")

"""UDP to a multicast group through a real switch and controller: sockets that joined, one copy each or none."""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import subprocess
import time

import pytest

from mininet_scenarios import namespaces
from tests.ovs.controller_bench import until

GROUP, OTHER = "239.1.2.3", "239.1.2.4"
PORT = 5004
ADDRESSES = {"cam": "10.0.0.1", "tv-a": "10.0.0.2", "tv-b": "10.0.0.3", "db": "10.0.0.4", "spy": "10.0.0.5"}
ROLES = {"cam": "cam", "tv-a": "tv", "tv-b": "tv", "db": "db", "spy": "spy"}
LAN = """
- kind: Network
  name: lan
  subnets: [10.0.0.0/24]
  multicast: [{group: 239.1.2.3, members: {expressions: [{key: role, operator: In, values: [tv, db, cam]}]}}]
"""
FEED = """
- kind: Policy
  name: feed
  rules: [{action: allow, from: [{labels: {role: cam}}], to: [{labels: {role: tv}}], services: [udp/5004]}]
"""
COUNT = 200
NUMBERS = itertools.count()
"""Of the datagrams of all tests: one that comes late is not taken for another."""
LATEST_S, QUIET_S = 20.0, 0.2


@pytest.fixture
def bench(bench):
    """Five endpoints; all have joined both groups, as a kernel does (which nobody needs)."""
    bench.start()
    bench.hosts, bench.ears = {}, {}
    for number, (name, address) in enumerate(ADDRESSES.items(), 1):
        nic = bench.nic(number, address)
        bench.plug(nic, {"iface-id": name, "ringfence:ip": address, "ringfence:label/role": ROLES[name]})
        subprocess.run(["ip", "-n", nic.netns, "route", "add", "224.0.0.0/4", "dev", nic.inner], check=True)
        bench.hosts[name] = nic.netns
        bench.ears[name] = joined(nic.netns, address)
    bench.apply(LAN + FEED)
    assert until(lambda: send(bench, 1) and heard(bench)["tv-a"]), bench.said()
    while any(heard(bench).values()):  # what a busy machine let wait
        continue
    yield bench
    for ear in bench.ears.values():
        ear.close()
    bench.stop()


def joined(netns: str, address: str) -> socket.socket:
    with namespaces.entered(netns):
        ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ear.bind(("", PORT))
        for group in (GROUP, OTHER):
            both = socket.inet_aton(group) + socket.inet_aton(address)
            ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, both)
    ear.setblocking(False)
    return ear


def send(bench, count: int, group: str = GROUP, *, who: str = "cam", size: int = 8, port: int = PORT) -> bool:
    """Send datagrams to a group, each with a number of its own, a millisecond apart.

    Not before the old verdict of a change is over (law 3).
    """
    bench.ovs.appctl("revalidator/wait")
    with namespaces.entered(bench.hosts[who]):
        mouth = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with mouth:
        mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
        mouth.bind((ADDRESSES[who], 0))
        for _ in range(count):
            mouth.sendto(struct.pack("!Q", next(NUMBERS)).ljust(size, b"."), (group, port))
            time.sleep(0.001)
    return True


def heard(bench, **least: int) -> dict[str, int]:
    """Return how many datagrams came out at each since the last time; no number twice.

    As soon as some have heard at least so many (`tv_a=20`), and a while more for what should not come.
    """
    numbers: dict[str, list[bytes]] = {name: [] for name in bench.ears}

    def listen() -> bool:
        for name, ear in bench.ears.items():
            with contextlib.suppress(BlockingIOError):
                while True:
                    numbers[name].append(ear.recv(4096)[:8])
        return all(len(numbers[name.replace("_", "-")]) >= count for name, count in least.items())

    until(listen, LATEST_S)
    time.sleep(QUIET_S)
    listen()
    for name, found in numbers.items():
        assert len(found) == len(set(found)), f"{name} heard something twice"
    return {name: len(found) for name, found in numbers.items()}


def drops(bench, guard: str) -> int:
    found = bench.ask("GET", "/v1/counters")[1]["drops"]
    return sum(item["packets"] for item in found if item["cause"] == f"guard {guard}")


def test_members_hear_each_datagram_once_and_nobody_else_any(bench) -> None:
    """More denied copies than the meters show (`db`, 50 a second) take nothing from the members after them."""
    send(bench, COUNT)
    assert heard(bench, tv_a=COUNT, tv_b=COUNT) == {"cam": 0, "tv-a": COUNT, "tv-b": COUNT, "db": 0, "spy": 0}


def test_what_no_rule_or_list_lets_through_reaches_nobody(bench) -> None:
    before = drops(bench, "multicast")
    send(bench, 20, OTHER)
    send(bench, 20, who="tv-a")
    send(bench, 20, port=PORT + 1)
    assert set(heard(bench).values()) == {0}
    assert until(lambda: drops(bench, "multicast") >= before + 20)


def test_a_datagram_in_pieces_is_dropped(bench) -> None:
    send(bench, 5, size=2000)
    assert set(heard(bench).values()) == {0}


def test_a_change_of_policy_label_or_list_holds_for_the_next_datagram(bench) -> None:
    bench.apply("{kind: Policy, name: hush, tier: security, rules: [{action: reject, to: [{endpoint: tv-b}]}]}")
    send(bench, 20)
    assert heard(bench, tv_a=20) == {"cam": 0, "tv-a": 20, "tv-b": 0, "db": 0, "spy": 0}
    bench.ask("DELETE", "/v1/policies/hush?wait=realized")
    interface = bench.ovs.vsctl("--bare", "--columns=name", "find", "Interface", "external_ids:iface-id=db").strip()
    bench.ovs.vsctl("set", "Interface", interface, 'external_ids:"ringfence:label/role"=tv')
    assert until(lambda: send(bench, 1) and heard(bench)["db"])
    while any(heard(bench).values()):
        continue
    send(bench, 20)
    assert heard(bench, tv_a=20, tv_b=20, db=20) == {"cam": 0, "tv-a": 20, "tv-b": 20, "db": 20, "spy": 0}
    bench.apply("{kind: Network, name: lan, subnets: [10.0.0.0/24]}")
    send(bench, 20)
    assert set(heard(bench).values()) == {0}


def test_a_restarted_controller_sends_nothing_and_the_feed_goes_on(bench) -> None:
    flows = bench.flows()
    bench.stop()
    send(bench, 20)
    assert heard(bench, tv_a=20)["tv-a"] == 20
    bench.start()
    assert until(bench.is_connected)
    assert bench.has(flows)
    send(bench, 20)
    assert heard(bench, tv_a=20)["tv-a"] == 20

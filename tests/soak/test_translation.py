"""Conntrack that translates, under churn: no abort of the switch, and nothing leaves or arrives untranslated.

Open vSwitch 3.1.0 aborts (conntrack.c:1063) on a translation that changes nothing; the last test shows the sequence,
docs/adr/0021 why the product's programs never come to it. The first sends connections through such a program: ports
used again while their last connection is closed or only half open, resets from either end, more connections than an
address has ports, forwards beside, flows replaced and conntrack flushed meanwhile, entries that end within a second.
"""

from __future__ import annotations

import contextlib
import random
import time

import pytest

from intent.compiler import IdMap, allocate, compile_program
from intent.model import router_mac
from mininet_scenarios.namespaces import Nic, plug
from mininet_scenarios.private_ovs import PrivateOvs, SwitchCrashedError
from scripts.example import DPID, read
from tests.ovs.raw_switch import RawSwitch
from tests.soak.translating import SYN, Batch, End, Segment, Tally, address, walk

BRIDGE, SHOWN = "br-nat", address("203.0.113.10")
CLIENTS = [address(f"10.1.0.{n}") for n in (5, 6, 7, 8)]
WORLD = [address(f"198.51.100.{n}") for n in (1, 2)]
MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02")
SIZE = 256
QUICK = ("tcp_close", "tcp_fin_wait", "tcp_close_wait", "tcp_time_wait", "tcp_last_ack", "tcp_syn_sent", "tcp_syn_recv")
SITE = """
- {kind: Network, name: front, subnets: [10.1.0.0/24], gateways: [10.1.0.1]}
- {kind: Router, name: edge, networks: [front], uplink: world}
- kind: Uplink
  name: world
  binding: {bridge: br-ring, interface: up}
  nextHop: "02:00:00:00:00:02"
  snat: [203.0.113.10]
  forwards: [{address: 203.0.113.10, service: tcp/8080, to: {address: 10.1.0.5}, toPort: 80}]
- kind: Endpoint
  name: clients
  network: front
  mac: "02:00:00:00:00:01"
  addresses: [10.1.0.5, 10.1.0.6, 10.1.0.7, 10.1.0.8]
  binding: {bridge: br-ring, interface: v1}
- kind: Policy
  name: open
  rules:
  - {action: allow, from: [{endpoint: clients}], to: [{world: true}]}
  - {action: allow, from: [{world: true}], to: [{endpoint: clients}], services: [tcp/80]}
"""
MORE = "- {kind: Policy, name: more, rules: [{action: deny, from: [{endpoint: clients}], services: [udp/1]}]}\n"
SAME = """
table=0,in_port=1,tcp actions=ct(commit,zone=2,nat(src=10.1.0.5),table=1)
table=0,in_port=2,tcp actions=ct(zone=2,nat,table=2)
table=1,tcp actions=output:2
table=2,tcp actions=output:1
"""
"""What the product never does: the source becomes what it is."""


def programs() -> list[dict]:
    """Return two programs of the site that differ in a policy, with the same numbers."""
    sites = [read(text, source="site") for text in (SITE, SITE + MORE)]
    ids = allocate(*sites[1], IdMap(), 0)
    return [compile_program(*site, DPID, ids) for site in sites]


def bridge(janitor, ovs) -> tuple[End, End]:
    """Make the bridge; return its inside, port 1, and its outside, port 2."""
    ovs.vsctl("add-br", BRIDGE, "--", "set", "bridge", BRIDGE, "datapath_type=netdev", "fail_mode=secure")
    nics = [Nic(janitor.netns(), janitor.fresh("v"), mac, ()) for mac in MACS]
    plug(nics, ovs.netns)
    for number, nic in enumerate(nics, 1):
        port = ("add-port", BRIDGE, nic.outer, "--", "set", "interface", nic.outer, f"ofport_request={number}")
        ovs.vsctl(*port)
    to = bytes.fromhex(router_mac("edge").replace(":", ""))
    inside, outside = (End(nic.netns, nic.inner, to + bytes.fromhex(nic.mac.replace(":", ""))) for nic in nics)
    return inside, outside


class Churn:
    """Batches of connections, until there were enough."""

    def __init__(self, inside: End, outside: End) -> None:
        self._ends = inside, outside
        self._random = random.Random(1)
        self.out, self.into = Tally(), Tally()

    @property
    def opened(self) -> int:
        return self.out.opened + self.into.opened

    def fill(self, number: int) -> None:
        """Open to one port of the world from ever further sources, and leave it at that: until no port is free."""
        inside, outside = self._ends
        sources = ((CLIENTS[i % 4], 1024 + (64 * number + i // 4) % 60000) for i in range(SIZE))
        made = [Segment(ip, WORLD[0], port, 80, self.opened + i, 0, SYN) for i, (ip, port) in enumerate(sources, 1)]
        walk(Batch(made, "left open", frozenset((SHOWN,)), frozenset(CLIENTS)), inside, outside, self.out)

    def batch(self, number: int) -> None:
        close = self._random.choice(("client resets", "client resets", "server resets", "both finish", "left open"))
        base, first = self._random.randrange(60000), self.opened + 1
        inside, outside = self._ends
        if number % 3:
            remote, ports = WORLD[number % 8 == 0], [1024 + (base + i // 4) % 60000 for i in range(SIZE)]
            made = [Segment(CLIENTS[i % 4], remote, ports[i], 80, first + i, 0, SYN) for i in range(SIZE)]
            walk(Batch(made, close, frozenset((SHOWN,)), frozenset(CLIENTS)), inside, outside, self.out)
        else:
            sports = [1024 + (base % 2000 + i // 2) % 2000 for i in range(SIZE)]
            made = [Segment(WORLD[i % 2], SHOWN, sports[i], 8080, first + i, 0, SYN) for i in range(SIZE)]
            walk(Batch(made, close, frozenset(WORLD), frozenset(WORLD)), outside, inside, self.into)


def test_a_switch_that_translates_survives_connections_without_end(janitor, ovs, effort, figure) -> None:
    wanted = effort(short=12_000, full=200_000)
    both = programs()
    inside, outside = bridge(janitor, ovs)
    switch = RawSwitch(ovs, BRIDGE, 0)
    ovs.vsctl("--", "--id=@d", "create", "Datapath", "datapath_version=0", "--", "set", "Open_vSwitch", ".",
              "datapaths:netdev=@d")  # fmt: skip
    begin = time.monotonic()
    with inside, outside, contextlib.closing(switch):
        churn, number, hastened = Churn(inside, outside), 0, False
        while churn.opened < wanted:
            if not hastened and churn.opened > wanted // 2:
                hasten(ovs)
                hastened = True
            if number % 20 == 0:
                switch.install(both[number // 20 % 2])
            if number % 200 == 199 and hastened:
                ovs.appctl("dpctl/flush-conntrack")
            (churn.fill if churn.opened < 2 * wanted // 5 else churn.batch)(number)
            number += 1
            ovs.check()
    figure("connections through an uplink that translates", churn.opened, "connections", at_least=wanted)
    figure("of them, that found a port", churn.out.answered + churn.into.answered, "connections", at_least=wanted // 4)
    figure("of them, that found none", churn.opened - churn.out.arrived - churn.into.arrived, "connections")
    figure("aborts of the switch meanwhile", 0, "aborts", at_most=0)
    figure("packets that passed untranslated", churn.out.leaked + churn.into.leaked, "packets", at_most=0)
    figure("time of that run", round(time.monotonic() - begin), "s")


def hasten(ovs) -> None:
    """Let entries end within a second, so that ports are used again before the dead ones are swept."""
    for zone in (1, 2, 3):
        ovs.vsctl("--may-exist", "add-zone-tp", "netdev", f"zone={zone}", *(f"{state}=1" for state in QUICK))


def test_a_translation_that_changes_nothing_is_what_aborts(janitor) -> None:
    """The sequence: a connection, its reset, and a SYN from the same port. Fixed in Open vSwitch 3.1.3."""
    opening = Segment(CLIENTS[0], WORLD[0], 4000, 80, 1, 0, SYN)
    ovs = PrivateOvs(janitor)
    with contextlib.suppress(SwitchCrashedError), ovs:
        if ovs.version() >= (3, 1, 3):
            pytest.skip("this Open vSwitch keeps both directions in one entry")
        inside, outside = bridge(janitor, ovs)
        ovs.ofctl("add-flows", BRIDGE, "-", text=SAME)
        with inside, outside:
            for _ in range(3):
                walk(Batch((opening,), "client resets", frozenset(), frozenset()), inside, outside, Tally())
    assert "conntrack.c:1063" in ovs.logs()

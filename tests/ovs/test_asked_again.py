"""Open vSwitch remembers who sent what until its revalidators come by; the tables behind conntrack are new at once.

The revalidators are paused, so that the time between commit and T (law 3) lasts as long as the test wants.
"""

from __future__ import annotations

from contextlib import ExitStack
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from intent.compiler import IdMap, allocate, compile_program
from intent.schema import parse_documents, to_intents
from tests.ovs.crafting import IPV4, UDP, ether, ip4, udp
from tests.ovs.raw_switch import RawSwitch
from tests.ovs.taps import Taps
from topology.model import NAME_LABEL, NETWORK_LABEL, Endpoint, Inventory, Location

if TYPE_CHECKING:
    from collections.abc import Iterator

SENDER, DATABASE, OTHER = 1, 2, 3
INTENTS = """
{kind: Network, name: blue}
---
kind: Policy
name: p
rules: [{action: allow, from: [{labels: {app: %s}}], to: [{labels: {app: db}}], services: [udp]}]
"""


def mac(number: int) -> str:
    return f"02:00:00:00:00:{number:02x}"


def address(number: int) -> str:
    return f"10.0.0.{number}"


class Bench:
    """A bridge that follows intents, and a raw socket at each of its three ports."""

    def __init__(self, ovs, bridge: str, stack: ExitStack) -> None:
        self.ids, self.clock_s = IdMap(), 0.0
        self.switch = RawSwitch(ovs, bridge, OTHER)
        stack.callback(self.switch.close)
        ovs.vsctl("--", "init")  # waits until the switch has its ports
        self.taps = Taps(ovs, {f"e{n}": f"{bridge}p{n}" for n in (SENDER, DATABASE, OTHER)})
        stack.callback(self.taps.close)

    def follow(self, sender_is: str, allowed: str) -> None:
        """Let the sender have a label, and one label send to the database."""
        intents = to_intents(parse_documents(INTENTS % allowed, source="test"))
        apps = {SENDER: sender_is, DATABASE: "db", OTHER: "web"}
        inventory = Inventory({f"e{n}": _endpoint(n, app) for n, app in apps.items()})
        self.clock_s += 1
        self.ids = allocate(intents, inventory, self.ids, self.clock_s)
        self.switch.install(compile_program(intents, inventory, 1, self.ids))

    def delivered(self, marker: bytes, to: int = DATABASE) -> bool:
        """Send a datagram; whether it came, when the switch has done all it does with it."""
        source, target = address(SENDER), address(to)
        datagram = ip4(source, target, UDP, udp(source, target, 1000, 80, marker))
        self.taps.send(f"e{SENDER}", ether(mac(SENDER), mac(to), IPV4, datagram))
        self.taps.fence(f"e{SENDER}", mac(SENDER), source)
        return any(marker in frame for frame in self.taps.drain(f"e{to}"))


def _endpoint(number: int, app: str) -> Endpoint:
    name = f"e{number}"
    labels = {NETWORK_LABEL: "blue", NAME_LABEL: name, "app": app}
    where = Location(1, number, f"v{number}", f"row-{number}")
    return Endpoint(name, "blue", labels, mac(number), (ip_address(address(number)),), (), where)


@pytest.fixture
def bench(session_ovs, unique_bridge) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield Bench(session_ovs, unique_bridge, stack)


@pytest.mark.parametrize(
    ("old", "new", "then"),
    [
        (("web", "other"), ("quarantine", "web"), False),  # forbidden by both, though `web` may now
        (("web", "web"), ("app", "app"), True),  # allowed by both, though neither lets the other's label
        (("web", "other"), ("app", "app"), True),
    ],
)
def test_who_sent_it_is_asked_again_behind_conntrack(session_ovs, bench, old, new, then) -> None:
    bench.follow(*old)
    assert not bench.delivered(b"before", OTHER), "the way up to conntrack is remembered now, and not what follows"
    session_ovs.appctl("revalidator/pause")
    try:
        bench.follow(*new)
        between = bench.delivered(b"between")
    finally:
        session_ovs.appctl("revalidator/resume")
    assert between in {old[0] == old[1], then}
    session_ovs.appctl("revalidator/wait")
    assert bench.delivered(b"afterwards") is then

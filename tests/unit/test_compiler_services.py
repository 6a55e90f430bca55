"""What a network offers beside policy, and what is refused because no switch could hold it."""

from ipaddress import ip_address

import pytest

from intent.compiler import CompileError, IdMap, allocate, compile_program
from intent.compiler.flow import CONTROLLER
from intent.compiler.interpreter import Conntrack, Interpreter
from intent.model import Intents, Network
from topology.model import NETWORK_LABEL, Endpoint, Inventory, Location, UnaddressedPort
from topology.packet import ETH_ARP, ETH_IPV6, ICMPV6, Frame

KNOWN, WAITING, STRANGER = (f"02:00:00:00:00:0{n}" for n in (1, 2, 9))


def endpoint(name, number, **more):
    addresses = (ip_address(f"10.0.0.{number}"), ip_address(f"fd00::{number}"))
    location = Location(1, number, f"v{number}", f"row-{number}")
    return Endpoint(name, "lan", {NETWORK_LABEL: "lan"}, f"02:00:00:00:00:0{number}", addresses, (), location, **more)


INVENTORY = Inventory(
    {"known": endpoint("known", 1)}, (UnaddressedPort("waiting", "lan", WAITING, Location(1, 2, "v2", "row-2")),)
)


def switch(*learn):
    intents = Intents(networks={"lan": Network("lan", learn=frozenset(learn))})
    return Interpreter(compile_program(intents, INVENTORY, 1, allocate(intents, INVENTORY, IdMap(), 0)))


def arp(port, sender, claimed=None):
    own = claimed or sender
    target = ip_address("10.0.0.77")
    return Frame(1, port, sender, "ff:ff:ff:ff:ff:ff", ETH_ARP, arp_op=1, arp_spa=target, arp_tpa=target, arp_sha=own)


def advertisement(port, sender):
    address = ip_address("fd00::77")
    frame = Frame(1, port, sender, "33:33:00:00:00:01", ETH_IPV6, src=address, dst=ip_address("ff02::1"))
    return frame.__class__(
        **{s: getattr(frame, s) for s in frame.__slots__}
        | {"protocol": ICMPV6, "icmp_type": 136, "icmp_code": 0, "nd_target": address}
    )


@pytest.mark.parametrize(
    ("learn", "frame", "shown"),
    [
        (["arp"], arp(2, WAITING), True),
        (["arp"], arp(1, KNOWN), True),
        (["arp"], arp(2, STRANGER), False),
        (["arp"], arp(2, WAITING, claimed=STRANGER), False),
        (["nd"], arp(2, WAITING), False),
        ([], arp(2, WAITING), False),
        (["nd"], advertisement(2, WAITING), True),
        (["nd"], advertisement(1, KNOWN), True),
        (["nd"], advertisement(2, STRANGER), False),
        (["arp"], advertisement(2, WAITING), False),
    ],
    ids=[
        "arp", "arp of an endpoint", "another's MAC", "another's MAC inside", "arp where only nd is learned",
        "nothing is learned", "nd", "nd of an endpoint", "nd from another's MAC", "nd where only arp is learned",
    ],
)  # fmt: skip
def test_the_controller_is_shown_who_claims_an_address_where_the_network_learns_so(learn, frame, shown):
    result = switch(*learn).run(frame, Conntrack())
    assert result.to_controller is shown
    assert [port for port in result.ports if port != CONTROLLER] == [], "shown, never forwarded"


def test_two_endpoints_that_claim_one_place_are_refused_not_merged():
    twins = Inventory({"a": endpoint("a", 1), "b": endpoint("b", 1)})
    intents = Intents(networks={"lan": Network("lan")})
    ids = allocate(intents, twins, IdMap(), 0)
    with pytest.raises(CompileError, match="two flows for one match"):
        compile_program(intents, twins, 1, ids)

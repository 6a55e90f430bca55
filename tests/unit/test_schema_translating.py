"""Uplinks that translate addresses, as people write them, and what is refused."""

from ipaddress import ip_address

import pytest

from intent.model import PortForward
from intent.schema import DocumentError, parse_documents, to_intents
from intent.schema.dump import dump_yaml
from topology.packet import TCP, UDP

SITE = """
- {kind: Network, name: web, subnets: [10.1.0.0/24, "fd01::/64"], gateways: [10.1.0.1, "fd01::1"]}
- {kind: Network, name: db, subnets: [10.2.0.0/24], gateways: [10.2.0.1]}
- {kind: Router, name: edge, networks: [web, db], uplink: world}
"""
UPLINK = "- {kind: Uplink, name: world, binding: {bridge: br-ring, interface: up0}, "


def documents(rest, more=""):
    return parse_documents(f"{SITE}{UPLINK}{rest}}}\n{more}", source="t.yaml")


def forward(rest):
    return f"forwards: [{{address: 203.0.113.1, {rest}}}]"


def test_addresses_ports_and_targets_are_read_and_written_again():
    rest = (
        'snat: [203.0.113.1, "2001:db8::1"], forwards: [{address: 203.0.113.1, service: tcp/8443, to: {endpoint: a}, '
    )
    found = documents(rest + "toPort: 443}, {address: 203.0.113.2, service: udp/5-9, to: {address: 10.1.0.9}}]")
    uplink = to_intents(found).uplinks["world"]
    assert uplink.snat == (ip_address("203.0.113.1"), ip_address("2001:db8::1"))
    assert uplink.forwards == (
        PortForward(ip_address("203.0.113.1"), TCP, 8443, 8443, "a", 443),
        PortForward(ip_address("203.0.113.2"), UDP, 5, 9, ip_address("10.1.0.9")),
    )
    assert to_intents(parse_documents(dump_yaml(found), source="again")).uplinks == {"world": uplink}


REFUSED = {
    "two of a version": ("snat: [203.0.113.1, 203.0.113.2]", "Uplink/world.snat[1]", "second IPv4"),
    "none": ("snat: []", "Uplink/world.snat", ""),
    "an address behind the uplink": ("snat: [10.2.0.9]", "Uplink/world.snat[0]", "`db`"),
    "a link-local address": ('snat: ["fe80::1"]', "Uplink/world.snat[0]", "one link"),
    "a service without ports": (
        forward("service: icmp/8, to: {endpoint: a}"),
        "Uplink/world.forwards[0].service",
        "tcp/",
    ),
    "a named port": (forward("service: tcp/web, to: {endpoint: a}"), "Uplink/world.forwards[0].service", "tcp/"),
    "no target": (forward("service: tcp/80, to: {}"), "Uplink/world.forwards[0].to", "`endpoint` or `address`"),
    "two targets": (
        forward("service: tcp/80, to: {endpoint: a, address: 10.1.0.9}"),
        "Uplink/world.forwards[0].to",
        "`endpoint` or `address`",
    ),
    "a range to one port": (
        forward("service: tcp/80-90, to: {endpoint: a}, toPort: 80"),
        "Uplink/world.forwards[0].toPort",
        "leave `toPort` out",
    ),
    "port 0": (forward("service: tcp/80, to: {endpoint: a}, toPort: 0"), "Uplink/world.forwards[0].toPort", ""),
    "DHCP by range": (forward("service: udp/60-70, to: {endpoint: a}"), "Uplink/world.forwards[0].service", "DHCP"),
    "DHCP by port": (
        forward("service: udp/80, to: {endpoint: a}, toPort: 68"),
        "Uplink/world.forwards[0].toPort",
        "DHCP",
    ),
    "a target elsewhere": (
        forward("service: tcp/80, to: {address: 10.9.0.1}"),
        "Uplink/world.forwards[0].to.address",
        "no network behind",
    ),
    "a target of the other version": (
        forward('service: tcp/80, to: {address: "fd01::9"}'),
        "Uplink/world.forwards[0].to.address",
        "IP version",
    ),
    "a port twice": (
        forward("service: tcp/80-90, to: {endpoint: a}}, {address: 203.0.113.1, service: tcp/85, to: {endpoint: b}"),
        "Uplink/world.forwards[1].service",
        "once",
    ),
}


@pytest.mark.parametrize(("rest", "path", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_translated_is_refused(rest, path, words):
    with pytest.raises(DocumentError) as refused:
        to_intents(documents(rest))
    assert [p.path for p in refused.value.problems] == [path]
    assert words in f"{refused.value.problems[0].message} {refused.value.problems[0].remedy}"


def test_it_is_the_uplink_of_one_router_and_its_addresses_are_its_own():
    other = "- {kind: Uplink, name: side, binding: {bridge: br-ring, interface: up1}, snat: [203.0.113.1]}\n"
    lab = "- {kind: Network, name: lab, subnets: [10.3.0.0/24], gateways: [10.3.0.1]}\n"
    second = "- {kind: Router, name: second, networks: [lab], uplink: world}\n"
    with pytest.raises(DocumentError) as refused:
        to_intents(documents("snat: [203.0.113.1]", lab + second + other))
    assert {p.path for p in refused.value.problems} == {"Router/second.uplink", "Uplink/side.snat[0]"}

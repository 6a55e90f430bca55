"""Routers, uplinks and gateways as people write them, and what is refused."""

from ipaddress import ip_address

import pytest

from intent.schema import DocumentError, parse_documents, to_intents
from intent.schema.convert import router_mac

SITE = """
- {kind: Network, name: web, subnets: [10.1.0.0/24, "fd01::/64"], gateways: [10.1.0.1, "fd01::1"]}
- {kind: Network, name: db, subnets: [10.2.0.0/24], gateways: [10.2.0.1]}
- {kind: Network, name: lab, subnets: [10.1.0.0/16], gateways: [10.1.9.1]}
- {kind: Network, name: bare}
- {kind: Uplink, name: world, binding: {bridge: br-ring, interface: up0}, nextHop: "02:00:00:00:00:AA"}
"""


def intents(more):
    return to_intents(parse_documents(SITE + more, source="t.yaml"))


def test_a_router_has_a_mac_of_its_own_that_does_not_change():
    found = intents("- {kind: Router, name: edge, networks: [web, db], uplink: world}")
    router = found.routers["edge"]
    assert (router.networks, router.uplink, router.mac) == (("web", "db"), "world", router_mac("edge"))
    assert router_mac("edge") != router_mac("edge2")
    assert router.mac.startswith("02:52:")
    assert found.networks["web"].gateways == (ip_address("10.1.0.1"), ip_address("fd01::1"))
    assert found.uplinks["world"].next_hop == "02:00:00:00:00:aa"


REFUSED = {
    "unknown network": ("- {kind: Router, name: r, networks: [wbe]}", "Router/r.networks[0]", "`web`"),
    "unknown uplink": ("- {kind: Router, name: r, networks: [web], uplink: wrold}", "Router/r.uplink", "`world`"),
    "a network twice": ("- {kind: Router, name: r, networks: [web, web]}", "Router/r.networks[1]", "once"),
    "a network of two routers": (
        "- {kind: Router, name: q, networks: [web]}\n- {kind: Router, name: r, networks: [web]}",
        "Router/r.networks[0]",
        "one router",
    ),
    "a network without subnets": ("- {kind: Router, name: r, networks: [bare]}", "Router/r.networks[0]", "subnets"),
    "overlapping subnets": ("- {kind: Router, name: r, networks: [web, lab]}", "Router/r.networks[0]", "own"),
    "overlap by one uplink": (
        (
            "- {kind: Router, name: q, networks: [lab], uplink: world}\n"
            "- {kind: Router, name: r, networks: [web], uplink: world}"
        ),
        "Router/r.networks[0]",
        "own",
    ),
    "two routers of one MAC": (
        (
            '- {kind: Router, name: q, networks: [web], mac: "02:00:00:00:00:01"}\n'
            '- {kind: Router, name: r, networks: [db], mac: "02:00:00:00:00:01"}'
        ),
        "Router/r.mac",
        "own",
    ),
    "a gateway outside": (
        "- {kind: Network, name: n, subnets: [10.9.0.0/24], gateways: [10.8.0.1]}",
        "Network/n.gateways[0]",
        "subnets",
    ),
    "a gateway that is its subnet": (
        "- {kind: Network, name: n, subnets: [10.9.0.0/24], gateways: [10.9.0.255]}",
        "Network/n.gateways[0]",
        "another",
    ),
    "two gateways of a kind": (
        "- {kind: Network, name: n, subnets: [10.9.0.0/24], gateways: [10.9.0.1, 10.9.0.2]}",
        "Network/n.gateways[1]",
        "one of IPv4",
    ),
    "an endpoint with the gateway's address": (
        "- {kind: Endpoint, name: e, network: db, addresses: [10.2.0.1], binding: {ifaceId: e}}",
        "Endpoint/e.addresses[0]",
        "another address",
    ),
    "an endpoint with the router's MAC": (
        (
            '- {kind: Router, name: r, networks: [db], mac: "02:00:00:00:00:01"}\n'
            '- {kind: Endpoint, name: e, network: db, mac: "02:00:00:00:00:01", binding: {ifaceId: e}}'
        ),
        "Endpoint/e.mac",
        "own",
    ),
    "an endpoint at the uplink": (
        "- {kind: Endpoint, name: e, network: db, binding: {bridge: br-ring, interface: up0}}",
        "Endpoint/e.binding",
        "own",
    ),
}


@pytest.mark.parametrize(("text", "path", "word"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_routed_is_refused_with_its_place(text, path, word):
    with pytest.raises(DocumentError) as caught:
        intents(text)
    (problem,) = caught.value.problems
    assert problem.path == path
    assert word in problem.remedy


def test_routers_without_a_common_uplink_may_have_the_same_subnets():
    found = intents("- {kind: Router, name: q, networks: [lab]}\n- {kind: Router, name: r, networks: [web]}")
    assert set(found.routers) == {"q", "r"}

"""The flows of endpoints are written in canonical order by hand, because there are so many; so it is checked here."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from intent.compiler.endpoints import Numbers, address_flows, answer_flow
from intent.compiler.flow import match_of
from intent.compiler.routing import Via
from intent.compiler.terms import mac
from topology.model import NAME_LABEL, NETWORK_LABEL, Endpoint, Location


@pytest.mark.parametrize("address", ["10.0.0.7", "fd00::7"])
@pytest.mark.parametrize("via", [None, Via(9, mac("02:00:00:00:00:99"))])
def test_every_match_of_an_endpoint_is_canonical(address: str, via: Via | None) -> None:
    labels = {NETWORK_LABEL: "lan", NAME_LABEL: "e"}
    where = Location(1, 2, "v1", "row-1")
    endpoint = Endpoint("e", "lan", labels, "02:00:00:00:00:01", (ip_address(address),), (), where)
    flows = [*address_flows(endpoint, endpoint.addresses[0], Numbers(1, 2, 3, via))]
    assert answer_flow(endpoint, endpoint.addresses[0], 1) in flows
    assert [flow.key.match for flow in flows] == [match_of(flow.key.match) for flow in flows]
    assert all(type(part) is int for flow in flows for part in (*flow.key[:2], *flow.body[1:]))

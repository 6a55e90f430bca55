"""A second switch with the datapath id of another achieves nothing and is told once; real switches, real controller."""

from __future__ import annotations

import time

from mininet_scenarios.datagrams import Stream
from mininet_scenarios.fabric import BRIDGE, FabricSite, ring, said
from mininet_scenarios.private_ovs import PrivateOvs

INTENTS = "{kind: Network, name: lan, posture: allow, subnets: [10.9.0.0/24]}"
OTHER = 99
"""Number of the impostor's switch."""
TRIES = 3
"""At least so many connections of the impostor are refused before anything is looked at."""


def test_a_second_switch_of_one_datapath_id_changes_nothing_and_is_told_once(janitor):
    site = FabricSite(janitor, ring(3), (1, 2))
    site.start()
    site.apply(INTENTS)
    site.settle()
    flows = {n: site.state(n) for n in site.numbers}
    topology = site.ask("GET", "/v1/topology")
    with Stream(site, "h1", "h2", 5000) as stream:
        impostor = site.switch(OTHER, 2)
        site.switches[OTHER] = impostor
        site.dial(OTHER)
        impostor.vsctl("set", "controller", BRIDGE, "max_backoff=1000")
        site.until(lambda: _reports(site), "the impostor is told")
        site.until(lambda: _tries(impostor) >= TRIES, "it is refused time and again")
        time.sleep(0.5)
    assert {n: site.state(n) for n in site.numbers} == flows
    assert _things(site.ask("GET", "/v1/topology")) == _things(topology)
    assert impostor.ofctl("dump-flows", BRIDGE).splitlines()[1:] == []
    assert stream.lost == 0
    (report,) = _reports(site)
    assert "claims the datapath id" in report["problem"]
    lines = [line for line in said(site).splitlines() if "a second connection with its id is refused" in line]
    assert len(lines) <= 2, lines


def _tries(impostor: PrivateOvs) -> int:
    return impostor.logs().count(": connected")


def _reports(site: FabricSite) -> list[dict[str, str]]:
    return [r for r in site.ask("GET", "/v1/status")["reports"] if r["subject"] == f"switch {2:016x}"]


def _things(topology: dict[str, object]) -> dict[str, object]:
    """Return everything that there is, each with its state and since when."""
    return {name: value for name, value in topology.items() if isinstance(value, list)}

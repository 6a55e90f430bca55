"""A switch whose database is not managed, between two that are; its ports are known from OpenFlow alone."""

from __future__ import annotations

import time

from mininet_scenarios import namespaces
from mininet_scenarios.datagrams import Stream
from mininet_scenarios.fabric import BRIDGE, FabricSite, linear

INTENTS = "{kind: Network, name: lan, posture: allow, subnets: [10.9.0.0/24]}"

BETWEEN = FabricSite.port(2, 1), FabricSite.port(2, 3)


def test_a_switch_without_database_passes_on_and_a_restart_changes_nothing(janitor):
    site = FabricSite(janitor, linear(3), (1, 3), bare={2: BETWEEN})
    site.start()
    site.apply(INTENTS)
    site.settle()
    assert site.reaches("h1", "h3")
    switches = {item["dpid"]: item for item in site.ask("GET", "/v1/switches")["items"]}
    assert (switches[f"{2:016x}"]["host"], switches[f"{2:016x}"]["problem"]) == (f"openflow:{2:016x}", "")
    before, things = {n: site.state(n) for n in site.numbers}, _things(site)
    with Stream(site, "h1", "h3", 5000) as stream:
        time.sleep(0.3)
        site.stop()
        time.sleep(0.5)
        site.start()
        since = "everything is again as it was, since then and not since the restart"
        site.until(lambda: _things(site) == things, since, 30)
        site.settle()
    assert {n: site.state(n) for n in site.numbers} == before
    assert stream.lost == 0


def test_its_ports_come_and_go(janitor):
    site = FabricSite(janitor, linear(3), (1, 3), bare={2: BETWEEN})
    site.start()
    site.apply(INTENTS)
    site.settle()
    site.switches[2].vsctl("del-port", BRIDGE, site.port(2, 3))
    site.settle(without=[(2, 3)])
    assert not site.reaches("h1", "h3", 0.3)
    site.switches[2].vsctl("add-port", BRIDGE, site.port(2, 3))
    site.settle()
    assert site.reaches("h1", "h3")


def test_a_document_binds_an_endpoint_to_a_port_of_it(janitor):
    site = FabricSite(janitor, linear(2), (1, 2))
    host = site.hosts["h2"]
    netns = site.switches[2].netns
    site.switches[2].vsctl("del-port", BRIDGE, "w0")
    namespaces.batch(["link set w0 name edge2"], netns)
    site.switches[2].vsctl("add-port", BRIDGE, "edge2")
    site.bare = {2: (site.port(2, 1),)}
    site.dial(2)
    site.start()
    mac = "02:00:00:00:09:02"
    bound = f'{{kind: Endpoint, name: h2, network: lan, mac: "{mac}", addresses: [{host.address}], '
    site.apply(f"{INTENTS}\n---\n{bound}binding: {{bridge: {BRIDGE}, interface: edge2}}}}")
    site.settle()
    assert site.reaches("h1", "h2")
    assert site.reaches("h2", "h1")


def _things(site: FabricSite) -> dict[str, list[object]]:
    """Return everything that there is, each with its state and since when."""
    return {name: value for name, value in site.ask("GET", "/v1/topology").items() if isinstance(value, list)}

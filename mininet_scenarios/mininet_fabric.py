r"""Mininet's own topologies as a fabric: its switches speak OpenFlow, and nobody manages their database.

    mn --custom mininet_scenarios/topologies.py --topo ringfence_fat_tree \
       --switch ovs,datapath=user,protocols=OpenFlow14 --controller remote

All switches are bridges of one private Open vSwitch. The configuration says which of their ports are wired to other
switches, and documents bind the hosts to the others.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mininet.node import OVSSwitch, RemoteController
from mininet.topo import LinearTopo, Topo
from mininet.topolib import TreeTopo

from mininet_scenarios import shell, system_mininet
from mininet_scenarios.controller import Controller, Settings
from mininet_scenarios.fabric import FAT_TREE_EDGES, FabricHost, fat_tree, ring
from mininet_scenarios.private_ovs import PrivateOvs
from mininet_scenarios.rest import RestError
from mininet_scenarios.scenario import Document
from mininet_scenarios.standing import Standing

NETWORK = "lan"
SETTLE_S = 90.0
QUIET_S = 0.5
"""So long the flows must have stayed as they are."""


class WiredTopo(Topo):  # type: ignore[misc]  # Mininet has no types
    """Switches s1, s2, ... wired to each other, a host at each of some: h and the number of its switch."""

    def build(self, *, wires: Iterable[tuple[int, int]] = (), edges: Iterable[int] = ()) -> None:
        """Declare it; Mininet's `Topo` calls this."""
        pairs, at = list(wires), list(edges)
        for number in sorted({n for pair in pairs for n in pair} | set(at)):
            self.addSwitch(f"s{number}")
        for number in at:
            self.addLink(self.addHost(f"h{number}"), f"s{number}")
        for one, other in pairs:
            self.addLink(f"s{one}", f"s{other}")


TOPOLOGIES: Mapping[str, Callable[[], Topo]] = {
    "linear": functools.partial(LinearTopo, k=4, n=2),
    "tree": functools.partial(TreeTopo, depth=2, fanout=3),
    "ring": functools.partial(WiredTopo, wires=ring(4), edges=(1, 2, 3, 4)),
    "fat_tree": functools.partial(WiredTopo, wires=fat_tree(), edges=FAT_TREE_EDGES),
}
"""Two of Mininet's own, and two that it does not have."""


class KnownController(RemoteController):  # type: ignore[misc]  # Mininet has no types
    """A controller that is known to listen."""

    def checkListening(self) -> None:  # noqa: N802 - Mininet's name
        """Do not look: Mininet looks by telnet, and hangs for ever if that is slow enough to be greeted."""


class MininetFabric(Standing):
    """A topology in Mininet with the real controller. Use it inside `sandbox` only."""

    def __init__(self, topo: Topo) -> None:
        super().__init__()
        self.ovs = PrivateOvs(self.janitor, isolated=False)
        self._topo = topo
        self.net: Any  # Mininet has no types
        self.hosts: dict[str, FabricHost] = {}
        self.controller: Controller

    def _switches(self) -> Iterable[PrivateOvs]:
        return [self.ovs]

    def _build(self) -> None:
        self.ovs.start()
        os.environ.update(self.ovs.env)
        switch = functools.partial(OVSSwitch, datapath="user", protocols="OpenFlow14")
        self.net = system_mininet.network(self._topo, switch=switch, ipBase="10.0.0.0/24")
        self._stack.callback(self.net.stop)
        self.net.build()
        for host in self.net.hosts:
            self._name(host)
        self.controller = self._controlled(self._settings())
        self.controller.start()
        self.controller.wait()
        self.net.addController("c0", KnownController, ip="127.0.0.1", port=6653)
        self.net.start()

    def _name(self, host: Any) -> None:  # noqa: ANN401 - Mininet has no types
        """Give a host's namespace a name, and let it finish its checksums: the userspace datapath does not."""
        netns = self.janitor.name(host.name)
        shell.run(["ip", "netns", "attach", netns, str(host.pid)])
        device = str(host.defaultIntf())
        shell.run(["ethtool", "-K", device, "tx", "off", "rx", "off"], where=shell.Surroundings(netns=netns))
        self.hosts[host.name] = FabricHost(host.name, 0, netns, host.IP())

    def _settings(self) -> Settings:
        links: dict[str, list[str]] = {f"{int(switch.dpid, 16):016x}": [] for switch in self.net.switches}
        for ends in self._wires():
            for end in ends:
                links[f"{int(end.node.dpid, 16):016x}"].append(end.name)
        listed = {dpid: names or ["none"] for dpid, names in links.items()}
        more: dict[str, dict[str, object]] = {"openflow": {"switches": listed}, "ovsdb": {"targets": []}}
        return Settings("", more=more)

    def _wires(self) -> list[tuple[Any, Any]]:
        """Return both ends of each link between switches."""
        pairs = ((link.intf1, link.intf2) for link in self.net.links)
        return [pair for pair in pairs if all(end.node in self.net.switches for end in pair)]

    # -- the controller ------------------------------------------------------------------------

    def ask(self, method: str, path: str, body: str = "") -> Any:  # noqa: ANN401 - JSON, as the API defines
        """Ask the REST API.

        Raises:
            RestError: it refuses.
            OSError: it does not answer.
        """
        return self.controller.rest.call(method, path, body or None)

    def documents(self, labels: Callable[[str], Mapping[str, str]]) -> list[Document]:
        """Return the network, and an endpoint for each host, bound to the port it is plugged into."""
        found: list[Document] = [{"kind": "Network", "name": NETWORK, "subnets": ["10.0.0.0/24"]}]
        for host in self.net.hosts:
            own = host.defaultIntf()
            far = own.link.intf2 if own.link.intf1 is own else own.link.intf1
            binding = {"bridge": self.controller.bridge, "interface": far.name}
            one = {"kind": "Endpoint", "name": host.name, "network": NETWORK, "labels": dict(labels(host.name))}
            found.append({**one, "mac": own.MAC(), "addresses": [host.IP()], "binding": binding})
        return found

    def links_up(self) -> set[frozenset[int]]:
        """Return the switches that are wired to each other, says the topology."""
        links = self.ask("GET", "/v1/topology")["links"]
        return {frozenset({int(x["a"]["dpid"], 16), int(x["b"]["dpid"], 16)}) for x in links if x["state"] == "up"}

    def settle(self, without: Iterable[tuple[str, str]] = ()) -> None:
        """Return when all wires but these are proven and the flows have come to rest.

        Raises:
            RestError: not in time; the message says what is missing.
        """
        cut = {frozenset(pair) for pair in without}
        named = [tuple(end.node for end in pair) for pair in self._wires()]
        wanted = {
            frozenset(int(n.dpid, 16) for n in pair) for pair in named if frozenset(n.name for n in pair) not in cut
        }
        give_up_at, before, quiet_since = time.monotonic() + SETTLE_S, "", time.monotonic()
        while (up := self.links_up()) != wanted or time.monotonic() < quiet_since + QUIET_S:
            if time.monotonic() > give_up_at:
                raise RestError(
                    f"links after {SETTLE_S} s: {sorted(map(sorted, up))}, not {sorted(map(sorted, wanted))}"
                )
            now = self.flows()
            if now != before:
                before, quiet_since = now, time.monotonic()
            time.sleep(0.05)
        self.ovs.appctl("revalidator/wait")

    def flows(self) -> str:
        """Return the flows and groups of all switches."""
        found = []
        for switch in self.net.switches:
            found += self.ovs.flows(switch.name)
            found += sorted(self.ovs.ofctl("dump-groups", switch.name).splitlines()[1:])
        return "\n".join(found)

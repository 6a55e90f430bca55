"""A scenario of several hosts: an Open vSwitch each, tunnels over a routed underlay, one real controller.

Offers what `network.ScenarioNetwork` offers, so that a run is the same. Needs no Mininet.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from mininet_scenarios import namespaces, site_host
from mininet_scenarios.agents import Agent, listening
from mininet_scenarios.controller import Settings
from mininet_scenarios.expectation import World, initial
from mininet_scenarios.namespaces import Nic
from mininet_scenarios.network import ScenarioNetwork
from mininet_scenarios.private_ovs import Daemon, PrivateOvs
from mininet_scenarios.rest import RestError
from mininet_scenarios.routes import ANYWHERE, Routes, strangers
from mininet_scenarios.scenario import Scenario, Step
from mininet_scenarios.settling import await_verdicts, settle
from mininet_scenarios.site_host import CONTROLLER, SiteHost
from mininet_scenarios.standing import Standing

WORKLOAD_MTU = 1400
"""Leaves room for any tunnel's header in the underlay."""
STALE_S = 1.0
FAULT_S = 2.0
"""How long what is broken stays so."""
CLAIMED_S = 60.0
"""By when a claim must have won at the latest; a moment is usual."""


class SiteNetwork(Standing):
    """Hosts, workloads, controller. Use it inside `sandbox` only."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__()
        self.scenario = scenario
        self.agents: dict[str, Agent] = {}
        self.world: World = initial(scenario)
        self.hosts = {
            name: SiteHost(self.janitor, name, number, scenario.bridge) for number, name in enumerate(scenario.hosts, 1)
        }
        self.places = {name: self.janitor.netns() for name in scenario.workloads}
        """Namespaces of the workloads."""
        self.controller = self._controlled(self._settings())
        self._stale = self._stale_step = ""

    def _settings(self) -> Settings:
        targets = [host.ovs.db_target for host in self.hosts.values()]
        ids = [f"{host.number:016x}" for host in self.hosts.values()]
        more: dict[str, dict[str, object]] = {
            "openflow": {"host": "0.0.0.0", "admission": {"datapath_ids": ids}},  # noqa: S104 - a namespace of its own
            "ovsdb": {"targets": targets},
            "bridge": {"adopt": True, "controller_target": f"tcp:{CONTROLLER}:6653"},
            "tunnel": {"type": self.scenario.tunnel},
        }
        return Settings(targets[0], self.scenario.bridge, more=more)

    def _switches(self) -> Iterable[PrivateOvs]:
        return [host.ovs for host in self.hosts.values()]

    def _build(self) -> None:
        site_host.prepare()
        for host in self.hosts.values():
            self._stack.callback(host.ovs.stop)
            host.start()
        self.controller.start()
        for name in self.scenario.workloads:
            self._wire(name)
        self.controller.wait()
        self._plug(self.scenario.workloads)

    def _wire(self, name: str) -> None:
        """Make a workload's namespace, its interface on its host, and its agent."""
        workload, netns = self.world.workloads[name], self.places[name]
        nic = Nic(netns, name, workload.mac, workload.addresses)
        namespaces.plug([nic], self.hosts[workload.host].ovs.netns)
        versions = sorted({6 if ":" in address else 4 for address in workload.addresses})
        routes = Routes(self.scenario.intents)
        ways = {6 if ":" in gateway else 4: f"via {gateway} " for gateway in routes.gateways(workload)}
        others = strangers(workload, self.scenario.workloads.values(), routes)
        namespaces.batch(
            (
                f"link set eth0 mtu {WORKLOAD_MTU}",
                *(f"route add {ANYWHERE[version]} {ways.get(version, '')}dev eth0" for version in versions),
                *(f"neigh replace {address} lladdr {mac} dev eth0 nud permanent" for address, mac in others),
            ),
            netns,
        )
        agent = Agent(name, self._launcher(netns), workload.addresses, ports=listening(self.scenario.probes))
        self.agents[name] = agent
        self._stack.callback(agent.close)

    def _launcher(self, netns: str) -> Callable[[Sequence[str]], Any]:
        where = self.janitor.surroundings(netns)
        return lambda argv: self.janitor.start(argv, where=where, pipe=True)

    def _plug(self, names: Iterable[str]) -> None:
        by_host: dict[str, dict[str, Mapping[str, str]]] = {}
        for name in names:
            if name in self.world.plugged:
                workload = self.world.workloads[name]
                by_host.setdefault(workload.host, {})[name] = workload.external_ids()
        for host, ports in by_host.items():
            self.hosts[host].plug(ports)

    # -- changes ------------------------------------------------------------------------------

    def apply_initial(self) -> Mapping[str, Any]:
        """Apply the scenario's intents as one change; return the API's answer once all is realized."""
        answer = self.controller.rest.apply(self.world.documents.values())
        self.settle()
        return answer

    def perform(self, part: Step, after: World) -> None:
        """Make one part of a step happen, and return when the switches have it."""
        before, self.world = self.world, after
        if part.stale:
            self._stale = part.stale
            self.hosts[part.stale].cut(underlay=False)
        elif self._stale and part.name != self._stale_step:
            self.hosts[self._stale].mend(underlay=False)
            self._stale = ""
        self._stale_step = part.name
        if part.apply:
            self.controller.rest.apply(part.apply)
        for kind, name in part.delete:
            self.controller.rest.delete(kind, name)
        for name in part.relabel:
            self.hosts[after.workloads[name].host].relabel(name, after.workloads[name].external_ids())
        for name in part.unplug:
            self.hosts[after.workloads[name].host].unplug([name])
        self._plug(part.plug)
        for name, host in part.move.items():
            self.move(name, before.workloads[name].host, host)
        if part.fault is not None:
            self._befall(*part.fault)
        self.settle()

    def move(self, name: str, here: str, there: str) -> None:
        """Take a workload's interface from one host to another; what runs in it goes on."""
        self.hosts[here].unplug([name])
        source, target = self.hosts[here].ovs.netns, self.hosts[there].ovs.netns
        namespaces.batch([f"link set {name} netns {target}"], source)
        namespaces.batch([f"link set {name} up addrgenmode none"], target)
        self.hosts[there].plug({name: self.world.workloads[name].external_ids()})

    def _befall(self, kind: str, name: str) -> None:
        """Break something, wait, mend it."""
        host = self.hosts[name]
        if kind == "kill-host":
            host.kill()
            time.sleep(FAULT_S)
            host.revive()
        elif kind in {"cut-tunnel", "split"}:
            host.cut(underlay=kind == "cut-tunnel")
            time.sleep(FAULT_S)
            host.mend(underlay=kind == "cut-tunnel")
        elif kind == "rival":
            self._claim(host)
        elif kind == "empty-database":
            host.empty()
            self._plug(n for n, w in self.world.workloads.items() if w.host == name)
        elif kind == "restart-database":
            host.ovs.restart(Daemon.DATABASE)
        elif kind == "restart-switch":
            host.ovs.restart(Daemon.SWITCH)
            host.make_address()
            host.await_bridge()

    def _claim(self, host: SiteHost) -> None:
        """Let a host claim an endpoint of another, see that it gets it and the other is reported, and give it back.

        Raises:
            RestError: the newest claim did not win, or nobody was told.
        """
        name = next(n for n, w in self.world.workloads.items() if w.host != host.name and n in self.world.plugged)
        namespaces.batch((f"link add {name} type veth peer name rival", f"link set {name} up"), host.ovs.netns)
        host.plug({name: self.world.workloads[name].external_ids()})
        deadline = time.monotonic() + CLAIMED_S
        while not self._has_moved(name, host):
            if time.monotonic() > deadline:
                raise RestError(f"{name} is not on {host.name}, which claimed it last, or the other is not reported")
            time.sleep(0.02)
        host.unplug([name])
        namespaces.batch((f"link del {name}",), host.ovs.netns)

    def _has_moved(self, name: str, host: SiteHost) -> bool:
        listed = self.controller.rest.call("GET", "/v1/live/endpoints")
        told = any(report["subject"] == f"endpoint {name}" for report in listed["reports"])
        places = [item["location"]["dpid"] for item in listed["items"] if item["name"] == name]
        return told and places == [f"{host.number:016x}"]

    def settle(self) -> None:
        """Return when the controller knows this state and all flows have come to rest.

        Raises:
            RestError: not in time; the message says what is missing.
        """
        if self._stale:
            time.sleep(STALE_S)  # nobody can say when a host that is out of reach has nothing more to learn
        else:
            settle(self.controller, self.world, self._flows)
        await_verdicts(self._switches())

    def _flows(self) -> str:
        return "\n".join(line for host in self.hosts.values() for line in host.flows())


AnyNetwork: TypeAlias = ScenarioNetwork | SiteNetwork

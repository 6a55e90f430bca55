"""A scenario's network in Mininet, on a private Open vSwitch, with the real controller and probe agents."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from typing import Any

from mininet_scenarios import system_mininet
from mininet_scenarios.agents import Agent, listening
from mininet_scenarios.controller import Settings
from mininet_scenarios.expectation import World, initial
from mininet_scenarios.nodes import RingfenceSwitch, ScenarioTopo
from mininet_scenarios.private_ovs import Daemon, PrivateOvs
from mininet_scenarios.scenario import Scenario, Step
from mininet_scenarios.settling import await_verdicts, settle
from mininet_scenarios.standing import Standing

DEAD_S = 2.0
"""How long what was killed stays so."""


class Ground(Standing):
    """A private Open vSwitch, a scenario's workloads in Mininet, an agent in each.

    Use it inside `sandbox` only. Who makes the bridge is up to the subclass.
    """

    def __init__(self, scenario: Scenario) -> None:
        super().__init__()
        self.scenario = scenario
        self.agents: dict[str, Agent] = {}
        self.ovs = PrivateOvs(self.janitor, isolated=False)

    def _switches(self) -> Iterable[PrivateOvs]:
        return [self.ovs]

    def _build(self) -> None:
        self.ovs.start()
        # Mininet runs ovs-vsctl without options; from here on that means the private instance.
        os.environ.update(self.ovs.env)
        self._begin_bridge()
        self.mininet = system_mininet.network(ScenarioTopo(scenario=self.scenario))
        self._stack.callback(self.mininet.stop)
        self.mininet.build()
        self._await_bridge()
        self.mininet.start()
        for name in self.scenario.workloads:
            self.agents[name] = self._agent(name)
            self._stack.callback(self.agents[name].close)

    def _begin_bridge(self) -> None:
        """Begin to make the bridge; the workloads are built meanwhile."""
        switch = f"-- set Bridge {self.scenario.bridge} datapath_type=netdev"
        self.ovs.vsctl("add-br", self.scenario.bridge, *switch.split())

    def _await_bridge(self) -> None:
        """Return when whoever makes the bridge is ready; ports come next."""

    def _agent(self, name: str) -> Agent:
        workload = self.scenario.workloads[name]
        return Agent(name, self.mininet[name].launch, workload.addresses, ports=listening(self.scenario.probes))

    @property
    def switch(self) -> RingfenceSwitch:
        """The integration bridge."""
        switch: RingfenceSwitch = self.mininet[self.scenario.bridge]
        return switch


class ScenarioNetwork(Ground):
    """The ground with the real controller, which makes the bridge and its flows."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.world: World = initial(scenario)
        self.controller = self._controlled(Settings(self.ovs.db_target, scenario.bridge))

    def _begin_bridge(self) -> None:
        self.controller.start()

    def _await_bridge(self) -> None:
        self.controller.wait()

    # -- changes ------------------------------------------------------------------------------

    def apply_initial(self) -> Mapping[str, Any]:
        """Apply the scenario's intents as one change; return the API's answer once all is realized."""
        answer = self.controller.rest.apply(self.world.documents.values())
        self.settle()
        return answer

    def perform(self, part: Step, after: World) -> None:
        """Make one part of a step happen, and return when the switch has it."""
        if part.apply:
            self.controller.rest.apply(part.apply)
        for kind, name in part.delete:
            self.controller.rest.delete(kind, name)
        for name in part.relabel:
            self.switch.relabel(name, after.workloads[name].external_ids())
        if part.unplug:
            self.switch.unplug(part.unplug)
        if part.plug:
            self.switch.plug({name: after.workloads[name].external_ids() for name in part.plug})
        self.world = after
        if part.fault is not None:
            self._befall(part.fault[0])
        self.settle()

    def _befall(self, kind: str) -> None:
        """Break something, and mend it."""
        if kind == "kill-host":
            for daemon in Daemon:
                self.ovs.kill(daemon)
            time.sleep(DEAD_S)
            for daemon in Daemon:
                self.ovs.start_daemon(daemon)
        elif kind == "empty-database":
            self.ovs.replace_database()
        else:
            self.ovs.restart(Daemon.DATABASE if kind == "restart-database" else Daemon.SWITCH)
        self.switch.run_vsctl("wait-until", "Bridge", self.scenario.bridge, "datapath_id!=[]")
        if kind == "empty-database":
            self.switch.plug({name: self.world.workloads[name].external_ids() for name in sorted(self.world.plugged)})

    def settle(self) -> None:
        """Return when the controller knows this state and the switch's flows have come to rest.

        Raises:
            RestError: not in time; the message says what is missing.
        """
        settle(self.controller, self.world, self._flows)
        await_verdicts(self._switches())

    def _flows(self) -> str:
        return "\n".join(self.ovs.flows(self.scenario.bridge))

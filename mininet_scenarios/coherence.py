"""Whether a scenario speaks only of workloads and hosts that it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mininet_scenarios.values import ScenarioError

if TYPE_CHECKING:
    from mininet_scenarios.scenario import Scenario, Step

LOCAL_FAULTS = frozenset({"kill-host", "restart-database", "restart-switch", "empty-database"})
"""What may befall the only host."""


def check(scenario: Scenario) -> None:
    """Make sure of it.

    Raises:
        ScenarioError: a name has no workload or host, or something may not happen to it.
    """
    used = [("unplugged", name) for name in scenario.unplugged]
    used += [("transfers", name) for told in scenario.transfers for name in (told.client, told.server)]
    used += [("conversations", name) for told in scenario.conversations for name in (told.client, told.server)]
    for number, step in enumerate(scenario.steps):
        used += [(f"steps[{number}]", name) for name in (*step.plug, *step.unplug, *step.relabel, *step.move)]
    if scenario.forge is not None:
        parts = (scenario.forge.senders, scenario.forge.victims, scenario.forge.targets)
        used += [("forge", name) for part in parts for name in part]
    for place, name in used:
        if name not in scenario.workloads:
            raise ScenarioError(f"{scenario.name}.{place}: there is no workload {name!r}")
    _check_hosts(scenario)
    for number, step in enumerate(scenario.steps):
        for name in step.relabel:
            if scenario.workloads[name].source != "ovsdb":
                raise ScenarioError(f"{scenario.name}.steps[{number}].relabel: the labels of {name} are not OVSDB's")


def _check_hosts(scenario: Scenario) -> None:
    named = [(f"workloads.{w.name}", w.host) for w in scenario.workloads.values() if w.host or scenario.hosts]
    for number, step in enumerate(scenario.steps):
        named += [(f"steps[{number}].move", host) for host in step.move.values()]
        named += [(f"steps[{number}].fault", step.fault[1])] if step.fault and not _is_local(scenario, step) else []
        named += [(f"steps[{number}].stale", step.stale)] if step.stale else []
    for place, host in named:
        if host not in scenario.hosts:
            raise ScenarioError(f"{scenario.name}.{place}: there is no host {host!r}")


def _is_local(scenario: Scenario, step: Step) -> bool:
    """Whether a fault befalls the only host there is, and may."""
    kind, host = step.fault or ("", "")
    return not scenario.hosts and not host and kind in LOCAL_FAULTS

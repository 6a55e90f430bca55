"""Run a scenario: build, apply, measure, compare; then each step, measured again."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Sequence

from mininet_scenarios import conversing, measuring, rating, streaming
from mininet_scenarios.conversing import TalkResult
from mininet_scenarios.expectation import Judge, cells
from mininet_scenarios.forging import forgeries
from mininet_scenarios.measuring import Compared, ComparedFrame
from mininet_scenarios.network import ScenarioNetwork
from mininet_scenarios.rating import Rated
from mininet_scenarios.scenario import Scenario, Step
from mininet_scenarios.sites import AnyNetwork, SiteNetwork
from mininet_scenarios.streaming import StreamResult


@dataclasses.dataclass(frozen=True, slots=True)
class Phase:
    """One measurement of the whole matrix."""

    title: str
    cells: Sequence[Compared]
    seconds: float


@dataclasses.dataclass(slots=True)
class Result:
    """Everything a run measured."""

    phases: list[Phase] = dataclasses.field(default_factory=list)
    frames: list[ComparedFrame] = dataclasses.field(default_factory=list)
    streams: list[StreamResult] = dataclasses.field(default_factory=list)
    talks: list[TalkResult] = dataclasses.field(default_factory=list)
    rated: list[Rated] = dataclasses.field(default_factory=list)

    @property
    def verdicts(self) -> list[bool]:
        """Whether each cell, frame, judged stream, open connection and transfer was as intended."""
        judged = [s for s in self.streams if s.expected != "changing"]
        return [
            *(one.as_intended for phase in self.phases for one in phase.cells),
            *(one.as_intended for one in self.frames),
            *(one.as_intended for one in judged),
            *(one.as_intended for one in self.talks),
            *(one.as_intended for one in self.rated),
        ]

    @property
    def passed(self) -> bool:
        """Say whether something was measured, and all of it as intended."""
        return bool(self.verdicts) and all(self.verdicts)


class Listener:
    """Hears of a run's progress. The default says nothing."""

    def say(self, text: str) -> None:
        """Take one line of progress."""

    def built(self, network: AnyNetwork) -> None:
        """Take the network, up and realized."""

    def measured(self, phase: Phase) -> None:
        """Take a measured matrix."""


def run(scenario: Scenario, listener: Listener | None = None) -> Result:
    """Run a scenario inside a sandbox.

    Raises:
        CommandError, RestError, RuntimeError: a part does not start, or a change is not realized.
        SwitchCrashedError: the switch died.
    """
    hearing = listener or Listener()
    result = Result()
    hearing.say("starting the switch, the controller and the workloads")
    with SiteNetwork(scenario) if scenario.hosts else ScenarioNetwork(scenario) as network:
        hearing.say("applying the intents")
        network.apply_initial()
        hearing.built(network)
        _measure(network, "the intents as written", result, hearing)
        if scenario.forge is not None:
            _forge(network, result, hearing)
        if scenario.churn is not None:
            result.streams = streaming.run(network, scenario.churn, hearing.say)
            _measure(network, "after the churn", result, hearing)
        else:
            for step in scenario.steps:
                _perform(network, step, result, hearing.say)
                _measure(network, step.name, result, hearing)
        hearing.say("taking everything down")
    return result


def _measure(network: AnyNetwork, title: str, result: Result, hearing: Listener) -> None:
    asked = cells(network.world, network.scenario.probes)
    hearing.say(f"measuring {len(asked)} cells with packets")
    started = time.monotonic()
    compared = measuring.judged(network.agents, Judge(network.world), asked)
    phase = Phase(title, compared, time.monotonic() - started)
    result.phases.append(phase)
    hearing.measured(phase)
    result.rated += rating.run(network, title, hearing.say)


def _forge(network: AnyNetwork, result: Result, hearing: Listener) -> None:
    if network.scenario.forge is not None:
        forged = list(forgeries(network.world, network.scenario.forge))
        hearing.say(f"sending {len(forged)} raw frames")
        result.frames = measuring.frames(network.agents, forged, Judge(network.world))


def _perform(network: AnyNetwork, step: Step, result: Result, say: Callable[[str], None]) -> None:
    say(f"changing: {step.name}")
    for part, after in network.world.after(step):
        with contextlib.ExitStack() as stack:
            talks = conversing.begin(stack, network, part)
            network.perform(part, after)
            result.talks += [talk.result(part, Judge(network.world)) for talk in talks]

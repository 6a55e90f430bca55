"""Churn: a scenario's steps, round and round, under datagrams that must all arrive or never.

Which streams are judged follows from the semantics of every state on the way: allowed in all of them,
or in none. The others show only that something changes.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mininet_scenarios.agents import ask_all
from mininet_scenarios.expectation import Cell, Judge, World, cells
from mininet_scenarios.scenario import Churn, Probe, Scenario, Step
from mininet_scenarios.sites import AnyNetwork
from topology.packet import UDP


@dataclasses.dataclass(frozen=True, slots=True)
class StreamResult:
    """One stream: what the semantics say of it throughout, and what became of its datagrams."""

    cell: Cell
    expected: str
    """`open`, `blocked`, or `changing`."""
    sent: int
    lost: int
    """Sent, and no answer came back."""
    leaked: int
    """Arrived at the destination (counted for `blocked` streams)."""

    @property
    def as_intended(self) -> bool:
        """Say whether nothing allowed was lost and nothing forbidden arrived."""
        if self.expected == "open":
            return self.sent > 0 and self.lost == 0
        return self.expected == "changing" or (self.sent > 0 and self.leaked == 0)


@dataclasses.dataclass(frozen=True, slots=True)
class Passage:
    """What a round does, in order: each part with the state that follows it."""

    parts: Sequence[tuple[Step, World]]

    @property
    def worlds(self) -> list[World]:
        """Every state on the way."""
        return [world for _, world in self.parts]


def passages(scenario: Scenario, world: World, rounds: int) -> Iterator[Passage]:
    """Yield the parts of each round; a round begins where the one before it ended."""
    for _ in range(rounds):
        parts = []
        for step in scenario.steps:
            for part, after in world.after(step):
                parts.append((part, after))
                world = after
        yield Passage(parts)


def run(network: AnyNetwork, churn: Churn, say: Callable[[str], None]) -> list[StreamResult]:
    """Start the streams, make the changes, stop the streams, and judge them."""
    scenario, start = network.scenario, network.world
    todo = list(passages(scenario, start, churn.rounds))
    worlds = [start, *(world for passage in todo for world in passage.worlds)]
    asked = _streams(worlds, churn)
    ask_all(network.agents.values(), "arrivals")
    _start(network, asked, churn)
    for number, passage in enumerate(todo, 1):
        say(f"round {number} of {churn.rounds}: {len(passage.parts)} changes")
        for part, after in passage.parts:
            network.perform(part, after)
    reports = [report for reports in ask_all(network.agents.values(), "stop").values() for report in reports]
    arrived = ask_all(network.agents.values(), "arrivals")
    by_id = {report["id"]: report for report in reports}
    return [_result(cell, expected, by_id[n], arrived) for n, (cell, expected) in enumerate(asked)]


def _streams(worlds: Sequence[World], churn: Churn) -> list[tuple[Cell, str]]:
    """Return a stream for each pair that is always there, with what every state says of it."""
    probe = Probe("udp", churn.port)
    outcomes: dict[Cell, set[str]] = {}
    for world in _distinct(worlds):
        judge = Judge(world)
        for cell in cells(world, [probe]):
            outcomes.setdefault(cell, set()).add(judge.expect(cell).outcome)
    steady = frozenset.intersection(*(world.plugged for world in worlds))
    return [
        (cell, "changing" if len(found) > 1 else found.pop())
        for cell, found in sorted(outcomes.items())
        if {cell.source, cell.destination} <= steady
    ]


def _distinct(worlds: Sequence[World]) -> list[World]:
    """Return each state once: the rounds repeat themselves."""
    return [world for number, world in enumerate(worlds) if world not in worlds[:number]]


def _start(network: AnyNetwork, asked: Sequence[tuple[Cell, str]], churn: Churn) -> None:
    numbered = sorted(enumerate(cell for cell, _ in asked), key=lambda pair: pair[1].source)
    for source, group in itertools.groupby(numbered, key=lambda pair: pair[1].source):
        streams = [
            {
                "id": number,
                "src": cell.src,
                "dst": cell.dst,
                "port": churn.port,
                "interval_s": churn.interval_ms / 1000,
                "renew": churn.renew,
            }
            for number, cell in group
        ]
        network.agents[source].ask("stream", streams=streams)


def _result(cell: Cell, expected: str, report: dict[str, Any], arrived: dict[str, Any]) -> StreamResult:
    ports = set(report["ports"])
    leaked = sum(
        count
        for protocol, src, dst, sport, dport, count in arrived[cell.destination]
        if (protocol, src, dst, dport) == (UDP, cell.src, cell.dst, cell.probe.port) and sport in ports
    )
    return StreamResult(cell, expected, report["sent"], len(report["lost"]), leaked)

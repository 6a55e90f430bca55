"""The demonstration: `make demo`, or `python -m mininet_scenarios.demo [--scenario NAME] [--json]`.

Builds the scenario's network, applies its intents, measures every cell with packets, makes the
scenario's changes and measures again. The last line is `demo: N/N cells as intended`; the exit code is
0 only then. Everything happens in namespaces of its own and is gone afterwards.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from intent.schema import DocumentError
from mininet_scenarios import docker_shop, failover, private_ovs, report, runner, sandbox, scenario, system_mininet
from mininet_scenarios.agents import AgentError
from mininet_scenarios.measuring import Compared
from mininet_scenarios.private_ovs import SwitchCrashedError
from mininet_scenarios.report import DIM, Paper
from mininet_scenarios.rest import RestError
from mininet_scenarios.runner import Listener, Phase, Result
from mininet_scenarios.scenario import Scenario
from mininet_scenarios.shell import CommandError
from mininet_scenarios.sites import AnyNetwork
from mininet_scenarios.values import ScenarioError

FAILED, UNUSABLE = 1, 2
FAILURES = (AgentError, CommandError, DocumentError, RestError, RuntimeError, SwitchCrashedError)
"""What a run ends with when a part of it does not do its job; each message says which and why."""


class Narrator(Listener):
    """Tells a run as it happens."""

    def __init__(self, paper: Paper, told: Scenario) -> None:
        self._paper = paper
        self._scenario = told
        self._started = time.monotonic()
        self._before: Phase | None = None

    def say(self, text: str) -> None:
        """Write a line of progress with the seconds since the start."""
        seconds = time.monotonic() - self._started
        self._paper.line(self._paper.painted(DIM, f"[{seconds:5.1f} s] {text}"))

    def built(self, network: AnyNetwork) -> None:
        """Write the topology and the intents."""
        report.topology(self._paper, self._scenario)
        report.intents(self._paper, network.world.documents.values())
        self._paper.line()

    def measured(self, phase: Phase) -> None:
        """Write the matrix, and what changed since the last one."""
        report.matrix(self._paper, phase)
        if self._before is not None:
            report.changes(self._paper, self._before, phase)
        self._before = phase
        self._paper.line()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demonstration in a sandbox; return the exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    asked = _options(arguments)
    if asked.scenario == docker_shop.NAME:
        return docker_shop.main(arguments)
    if asked.scenario == failover.NAME:
        return failover.main(arguments)
    try:
        chosen = scenario.load(asked.scenario)
    except ScenarioError as error:
        return _complain(str(error))
    missing = private_ovs.missing() or system_mininet.missing()
    if missing is not None:
        return _complain(missing)
    if not sandbox.is_inside():
        code = sandbox.run_inside(sandbox.python("mininet_scenarios.demo", arguments))
        if code == sandbox.INTERRUPTED:
            _complain("interrupted; everything it made is gone")
        return code
    sandbox.enter()
    return _inside(chosen, as_json=asked.json)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    known = [*scenario.names(), docker_shop.NAME, failover.NAME]
    parser = argparse.ArgumentParser(prog="python -m mininet_scenarios.demo", description=__doc__)
    parser.add_argument("--scenario", default="three_tier", help=f"one of {', '.join(known)}, or a file")
    parser.add_argument("--json", action="store_true", help="write the result as one JSON object instead of tables")
    return parser.parse_args(arguments)


def _complain(text: str) -> int:
    sys.stderr.write(f"demo: {text}\n")
    return UNUSABLE


def _inside(chosen: Scenario, *, as_json: bool) -> int:
    paper = Paper(sys.stderr, colours=sys.stderr.isatty()) if as_json else report.to_terminal()
    try:
        result = runner.run(chosen, Listener() if as_json else Narrator(paper, chosen))
    except FAILURES as error:
        sys.stderr.write(f"demo: failed: {error}\n")
        return FAILED
    if as_json:
        sys.stdout.write(json.dumps(summary(chosen, result)) + "\n")
        return 0 if result.passed else FAILED
    if result.frames:
        report.frames(paper, result.frames)
    if result.streams:
        report.streams(paper, result.streams)
    if result.talks:
        report.talks(paper, result.talks)
    if result.rated:
        report.rated(paper, result.rated)
    paper.line(f"demo: {sum(result.verdicts)}/{len(result.verdicts)} cells as intended")
    return 0 if result.passed else FAILED


def summary(chosen: Scenario, result: Result) -> dict[str, Any]:
    """Return a result as JSON: counts, and every cell, frame and stream that was not as intended."""
    return {
        "scenario": chosen.name,
        "passed": result.passed,
        "cells": len(result.verdicts),
        "as_intended": sum(result.verdicts),
        "phases": [
            {
                "title": phase.title,
                "seconds": round(phase.seconds, 3),
                "cells": len(phase.cells),
                "open": sum(one.measured.outcome == "open" for one in phase.cells),
                "unintended": [_cell(one) for one in phase.cells if not one.as_intended],
            }
            for phase in result.phases
        ],
        "frames": {
            "sent": len(result.frames),
            "arrived": sum(bool(one.arrived) for one in result.frames),
            "unintended": [
                {"frame": one.forged.title, "expected": one.expected, "arrived": one.arrived, "why": one.why}
                for one in result.frames
                if not one.as_intended
            ],
        },
        "streams": [
            {
                "from": one.cell.source,
                "to": one.cell.destination,
                "expected": one.expected,
                "sent": one.sent,
                "lost": one.lost,
                "arrived": one.leaked,
                "as_intended": one.as_intended,
            }
            for one in result.streams
        ],
        "conversations": [
            {
                "connection": one.title,
                "other_first": one.other_first,
                "opener": one.opener,
                "other": one.other,
                "as_intended": one.as_intended,
            }
            for one in result.talks
        ],
        "transfers": [{**dataclasses.asdict(one), "as_intended": one.as_intended} for one in result.rated],
    }


def _cell(one: Compared) -> dict[str, str]:
    return {
        "from": f"{one.cell.source} {one.cell.src}",
        "to": f"{one.cell.destination} {one.cell.dst}",
        "probe": str(one.cell.probe),
        "expected": one.expected.outcome,
        "why": one.expected.why,
        "measured": one.measured.outcome,
        "detail": one.measured.detail,
    }


if __name__ == "__main__":
    sys.exit(main())

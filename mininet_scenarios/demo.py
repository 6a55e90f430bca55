"""`make demo`: run one scenario and show what happens.

Builds the scenario's network, applies its intents, measures every cell with packets, makes the
scenario's changes and measures again. The last line is `demo: N/N cells as intended`; the exit code is
0 only then. Everything happens in namespaces of its own and is gone afterwards.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence

from mininet_scenarios import docker_shop, failover, private_ovs, report, runner, scenario, summary, system_mininet
from mininet_scenarios.runner import Listener, Phase
from mininet_scenarios.scenario import Scenario
from mininet_scenarios.show import Show, Teller, Told, complain, perform
from mininet_scenarios.sites import AnyNetwork
from mininet_scenarios.values import ScenarioError

OTHERS = {docker_shop.NAME: docker_shop.SHOW, failover.NAME: failover.SHOW}
"""Demonstrations that no scenario file describes."""


class Narrator(Listener):
    """Tells a run as it happens."""

    def __init__(self, teller: Teller, told: Scenario) -> None:
        self._teller = teller
        self._paper = teller.paper
        self._scenario = told
        self._before: Phase | None = None

    def say(self, text: str) -> None:
        """Write a line of progress."""
        self._teller.say(text)

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
    show = OTHERS.get(asked.scenario)
    if show is None:
        try:
            show = Show(_missing, functools.partial(_run, scenario.load(asked.scenario)))
        except ScenarioError as error:
            return complain(str(error))
    return perform(show, arguments, as_json=asked.json)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    known = [*scenario.names(), *OTHERS]
    parser = argparse.ArgumentParser(prog="python -m mininet_scenarios.demo", description=__doc__)
    parser.add_argument("--scenario", default="three_tier", help=f"one of {', '.join(known)}, or a file")
    parser.add_argument("--json", action="store_true", help="write the result as one JSON object, the rest beside it")
    return parser.parse_args(arguments)


def _missing() -> str | None:
    return private_ovs.missing() or system_mininet.missing()


def _run(chosen: Scenario, teller: Teller) -> Told:
    result = runner.run(chosen, Narrator(teller, chosen))
    report.beside_cells(teller.paper, result)
    return Told(chosen.name, result.verdicts, summary.of_result(result))


if __name__ == "__main__":
    sys.exit(main())

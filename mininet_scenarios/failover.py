"""The scenario `fat_tree_failover`: twenty switches, eight hosts, and a wire that breaks under traffic.

What should pass is asked of the controller's matrix, which comes from the semantics of the policies, not from
flows. It is measured with datagrams before, while the wire is broken, and after it was mended.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from mininet_scenarios import private_ovs, sandbox
from mininet_scenarios.datagrams import Stream, unintended
from mininet_scenarios.fabric import FAT_TREE_EDGES, FabricSite, fat_tree
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.shell import CommandError

NAME = "fat_tree_failover"
FAILED, UNUSABLE = 1, 2
ALLOWED_S = 0.1
"""Longest outage of a stream when a wire breaks."""
PORTS = (5001, 5002)
WIRE = (5, 7)
"""From an aggregation switch down to an edge: the break that equal-cost ways alone do not survive."""
STREAMS = (("h7", "h8"), ("h7", "h19"), ("h8", "h7"), ("h12", "h7"), ("h20", "h7"))
FAULTS = (
    ("an edge switch died and came back", 7, "kill"),
    ("the database of an aggregation switch restarted", 5, "restart-database"),
    ("a core switch restarted", 1, "restart-switch"),
    ("the database of an edge switch was replaced by an empty one", 8, "empty-database"),
)
INTENTS = """
{kind: Network, name: lan, subnets: [10.9.0.0/24]}
---
kind: Policy
name: odd-asks-even
rules:
- {action: allow, from: [{labels: {side: odd}}], to: [{labels: {side: even}}], services: [udp/5001]}
- {action: allow, from: [{labels: {side: even}}], to: [{labels: {side: even}}], services: [udp/5002]}
---
kind: Policy
name: streams
rules: [{action: allow, services: [udp/6000-6099]}]
"""


class Outcome(NamedTuple):
    """What was measured."""

    wrong: list[str]
    """Cells that were not as intended."""
    cells: int
    outages_s: list[float]
    """Longest time of each stream's datagrams that were lost while the wire broke."""

    @property
    def passed(self) -> bool:
        """Whether all was as intended."""
        return not self.wrong and max(self.outages_s) <= ALLOWED_S


def run(say: Callable[[str], None]) -> Outcome:
    """Run the scenario inside a sandbox.

    Raises:
        CommandError, OSError, TimeoutError: a part does not start, or does not settle.
    """
    with Janitor() as janitor:
        say("starting twenty switches in a fat tree, and the controller")
        site = FabricSite(janitor, fat_tree(), FAT_TREE_EDGES)
        site.start()
        site.apply(INTENTS)
        site.settle()
        say(f"{len(site.links_up())} links are proven")
        wrong, cells = _measure(site, "as built", say)
        outages = _break(site, say)
        for title, without in (("with a broken wire", [WIRE]), ("mended", [])):
            if not without:
                site.mend(*WIRE)
            site.settle(without=without)
            more, count = _measure(site, title, say)
            wrong, cells = wrong + more, cells + count
        for title, number, fault in FAULTS:
            site.befall(number, fault)
            site.recover()
            more, count = _measure(site, title, say)
            wrong, cells = wrong + more, cells + count
        for ovs in site.switches.values():
            ovs.check()
        return Outcome(wrong, cells, outages)


def _measure(site: FabricSite, title: str, say: Callable[[str], None]) -> tuple[list[str], int]:
    """Compare who reaches whom with who should; return the cells that differ, and how many there are."""
    wrong, found = unintended(site, PORTS)
    say(f"{title}: {len(found) - len(wrong)}/{len(found)} cells as intended, {sum(found.values())} of them open")
    return [f"{title}: {cell}" for cell in wrong], len(found)


def _break(site: FabricSite, say: Callable[[str], None]) -> list[float]:
    """Break the wire under traffic; return the longest outage of each stream."""
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(Stream(site, *pair, 6000 + n)) for n, pair in enumerate(STREAMS)]
        time.sleep(1.0)
        began = time.monotonic()
        site.cut(*WIRE)
        time.sleep(1.5)
    outages = [stream.outage_s(began) for stream in streams]
    told = ", ".join(f"{one} to {other} {s * 1000:.0f} ms" for (one, other), s in zip(STREAMS, outages, strict=True))
    silence_s = max(stream.silence_s(began) for stream in streams)
    say(f"the wire from {WIRE[0]} to {WIRE[1]} broke; lost: {told}; longest silence: {silence_s * 1000:.0f} ms")
    return outages


def main(arguments: Sequence[str]) -> int:
    """Run the scenario in a sandbox; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m mininet_scenarios.failover", description=__doc__)
    parser.add_argument("--scenario", choices=[NAME], default=NAME)
    parser.add_argument("--json", action="store_true", help="write the result as one JSON object")
    asked = parser.parse_args(list(arguments))
    missing = private_ovs.missing()
    if missing is not None:
        sys.stderr.write(f"demo: {missing}\n")
        return UNUSABLE
    if not sandbox.is_inside():
        return sandbox.run_inside(sandbox.python("mininet_scenarios.failover", arguments))
    sandbox.enter()
    started = time.monotonic()
    output = sys.stderr if asked.json else sys.stdout

    def say(text: str) -> None:
        output.write(f"[{time.monotonic() - started:5.1f} s] {text}\n")
        output.flush()

    try:
        outcome = run(say)
    except (CommandError, OSError, RuntimeError) as error:
        sys.stderr.write(f"demo: failed: {error}\n")
        return FAILED
    _tell(outcome, as_json=asked.json)
    return 0 if outcome.passed else FAILED


def _tell(outcome: Outcome, *, as_json: bool) -> None:
    good = outcome.cells - len(outcome.wrong)
    if as_json:
        outages = [round(s * 1000, 1) for s in outcome.outages_s]
        body: dict[str, Any] = {"scenario": NAME, "passed": outcome.passed, "cells": outcome.cells, "as_intended": good,
                                "unintended": outcome.wrong, "outages_ms": outages}  # fmt: skip
        sys.stdout.write(json.dumps(body) + "\n")
        return
    for text in outcome.wrong:
        sys.stdout.write(f"not as intended: {text}\n")
    sys.stdout.write(f"demo: {good}/{outcome.cells} cells as intended\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The scenario `fat_tree_failover`: twenty switches, eight hosts, and a wire that breaks under traffic.

What should pass is asked of the controller's matrix, which comes from the semantics of the policies, not from
flows. It is measured with datagrams before, while the wire is broken, and after it was mended.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from mininet_scenarios import private_ovs
from mininet_scenarios.datagrams import Stream, unintended
from mininet_scenarios.fabric import FAT_TREE_EDGES, FabricSite, fat_tree
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.show import Show, Teller, Told

NAME = "fat_tree_failover"
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


def run(teller: Teller) -> Told:
    """Run the scenario inside a sandbox.

    Raises:
        CommandError, OSError, TimeoutError: a part does not start, or does not settle.
    """
    say = teller.say
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
    for text in wrong:
        teller.paper.line(f"not as intended: {text}")
    verdicts = [False] * len(wrong) + [True] * (cells - len(wrong))
    details = {"unintended": wrong, "outages_ms": [round(s * 1000, 1) for s in outages]}
    return Told(NAME, verdicts, details, passed=max(outages) <= ALLOWED_S)


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


SHOW = Show(private_ovs.missing, run)

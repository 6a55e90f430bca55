"""Transfers by iperf3 between workloads: is each held to the rate of its queue, and its copy where it should be?

What a transfer may reach follows from the semantics: the queue of the rule that allows its connection. It is measured
in both directions, as replies are in the same queue. A mirror's port counts what it gets.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Callable, Iterator

from mininet_scenarios import shell
from mininet_scenarios.expectation import Cell, Judge
from mininet_scenarios.scenario import Probe, Transfer
from mininet_scenarios.sites import AnyNetwork, SiteNetwork
from mininet_scenarios.values import ScenarioError

LASTING_S, OMITTED_S = 3, 1
"""Of a transfer; and what comes before, in which TCP finds its pace and the first burst is let through."""
START_S = 5.0
QUIET_S = 0.3
"""Before a transfer: the last packets of the one before are on their way."""
TOLERANCE = 0.15
UNHELD = 2.0
"""Without a queue a transfer is this many times as fast as the fastest queue, at least."""
COPIES = 50
"""Packets that a transfer has at least; other traffic to a mirror has none."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rated:
    """One transfer, in one direction."""

    title: str
    queue: str | None
    allowed: int
    """Bits a second of its queue; without one, what it must exceed."""
    measured: int
    """Bits a second that the receiver's application got."""
    mirror: str | None
    """The mirror whose port should have got a copy."""
    copied: int
    """Packets that the ports of all mirrors got meanwhile."""

    @property
    def as_intended(self) -> bool:
        """Say whether the rate is the queue's within the tolerance, and a mirror got a copy just if it should."""
        held = abs(self.measured - self.allowed) <= TOLERANCE * self.allowed
        copied = self.copied >= COPIES if self.mirror else self.copied == 0
        return copied and (held if self.queue else self.measured > self.allowed)


def run(network: AnyNetwork, title: str, say: Callable[[str], None]) -> Iterator[Rated]:
    """Yield each transfer of a scenario, in both directions, at this instant.

    Raises:
        CommandError: one cannot be made though it should, or iperf3 is missing.
        ScenarioError: the scenario has one host, or the semantics leave several queues open.
    """
    for transfer in network.scenario.transfers:
        if not isinstance(network, SiteNetwork):
            raise ScenarioError(f"{network.scenario.name}.transfers: give it `hosts`")
        for reverse in (False, True):
            say(f"measuring {transfer} {'back' if reverse else 'there'}")
            yield _rated(network, title, transfer, reverse=reverse)


def _rated(network: SiteNetwork, title: str, transfer: Transfer, *, reverse: bool) -> Rated:
    world = network.world
    ends = (world.workloads[name] for name in (transfer.client, transfer.server))
    client, server = (workload.addresses[0] for workload in ends)
    judge, probe = Judge(world), Probe("tcp", transfer.port)
    verdict = judge.verdict(judge.frame(Cell(transfer.client, transfer.server, client, server, probe)))
    if verdict.judgement is None or len(verdict.judgement.handlings) != 1:
        raise ScenarioError(f"{network.scenario.name}.transfers: {transfer} is not allowed by one rule")
    (handling,) = verdict.judgement.handlings
    rates = {name: queue.max_rate for name, queue in world.intents().queues.items()}
    time.sleep(QUIET_S)
    before = _copies(network)
    measured = _transfer(network, transfer, server, reverse=reverse)
    return Rated(
        title=f"{title}: {transfer} {'back' if reverse else 'there'}",
        queue=handling.queue,
        allowed=rates[handling.queue] if handling.queue else int(UNHELD * max(rates.values(), default=0)),
        measured=measured,
        mirror=handling.mirror,
        copied=_copies(network) - before,
    )


def _copies(network: SiteNetwork) -> int:
    """Return the packets that the ports of mirrors have got."""
    bound = {mirror.binding.interface for mirror in network.world.intents().mirrors.values()}
    return sum(_received(network, name) for name in network.places if name in bound)


def _received(network: SiteNetwork, name: str) -> int:
    where = shell.Surroundings(netns=network.places[name])
    return int(shell.run(["cat", "/sys/class/net/eth0/statistics/rx_packets"], where=where))


def _transfer(network: SiteNetwork, transfer: Transfer, address: str, *, reverse: bool) -> int:
    """Return the bits a second that arrived."""
    here, there = (network.janitor.surroundings(network.places[n]) for n in (transfer.client, transfer.server))
    server = network.janitor.start(["iperf3", "-s", "-1", "-p", str(transfer.port)], where=there, pipe=True)
    words = ["iperf3", "-J", "-c", address, "-p", str(transfer.port), "-t", str(LASTING_S), "-O", str(OMITTED_S)]
    words += ["-R"] if reverse else []
    deadline = time.monotonic() + START_S
    try:
        while True:
            try:
                return _received_bits(shell.run(words, where=here, timeout_s=4.0 * LASTING_S + START_S))
            except shell.CommandError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)  # the server does not listen yet
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.kill()
        server.wait()


def _received_bits(said: str) -> int:
    end = json.loads(said)["end"]
    if "sum_received" not in end:
        raise shell.CommandError(f"iperf3: no end of the transfer: {said[-500:]}")
    return int(end["sum_received"]["bits_per_second"])

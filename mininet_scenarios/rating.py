"""Transfers by iperf3 between workloads: is each held to the rate of its queue, and its copy where it should be?

What a transfer may reach follows from the semantics: the queue of the rule that allows its connection. It is measured
in both directions, as replies are in the same queue. Those that queues hold run at once: none takes of another's rate.
A mirror's port counts what it gets of each.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from intent.meaning.rulings import Handling
from mininet_scenarios import shell
from mininet_scenarios.expectation import Cell, Judge
from mininet_scenarios.scenario import Probe, Transfer
from mininet_scenarios.sites import AnyNetwork, SiteNetwork
from mininet_scenarios.values import ScenarioError

LASTING_S, OMITTED_S = 3, 1
"""Of a transfer; and what comes before, in which TCP finds its pace and the first burst is let through."""
START_S = 30.0
QUIET_S = 0.3
"""Before a transfer: the last packets of the one before are on their way."""
TOLERANCE = 0.15
UNHELD = 2.0
"""Without a queue a transfer is this many times as fast as the fastest queue, at least."""
COPIES = 50
"""Packets that a transfer has at least."""


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
    """Packets of it that the ports of all mirrors got."""

    @property
    def as_intended(self) -> bool:
        """Say whether the rate is the queue's within the tolerance, and a mirror got a copy just if it should."""
        held = abs(self.measured - self.allowed) <= TOLERANCE * self.allowed
        copied = self.copied >= COPIES if self.mirror else self.copied == 0
        return copied and (held if self.queue else self.measured > self.allowed)


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """A transfer, and what follows from the semantics for it now."""

    transfer: Transfer
    addresses: tuple[str, str]
    handling: Handling


def run(network: AnyNetwork, title: str, say: Callable[[str], None]) -> Iterator[Rated]:
    """Yield each transfer of a scenario, in both directions, at this instant.

    Raises:
        CommandError: one cannot be made though it should, or iperf3 is missing.
        ScenarioError: the scenario has one host, or the semantics leave several queues open.
    """
    if not network.scenario.transfers:
        return
    if not isinstance(network, SiteNetwork):
        raise ScenarioError(f"{network.scenario.name}.transfers: give it `hosts`")
    judge = Judge(network.world)
    wanted = [_wanted(network, judge, transfer) for transfer in network.scenario.transfers]
    held = [one for one in wanted if one.handling.queue]
    # One that nothing holds takes all that the machine has.
    together = [held, *([one] for one in wanted if not one.handling.queue)]
    for several, reverse in itertools.product(filter(None, together), (False, True)):
        way = "back" if reverse else "there"
        say(f"measuring {', '.join(str(one.transfer) for one in several)} {way}")
        yield from _rated(network, f"{title}: {{}} {way}", several, reverse=reverse)


def _wanted(network: SiteNetwork, judge: Judge, transfer: Transfer) -> Wanted:
    ends = (network.world.workloads[name] for name in (transfer.client, transfer.server))
    client, server = (workload.addresses[0] for workload in ends)
    probe = Probe("tcp", transfer.port)
    verdict = judge.verdict(judge.frame(Cell(transfer.client, transfer.server, client, server, probe)))
    if verdict.judgement is None or len(verdict.judgement.handlings) != 1:
        raise ScenarioError(f"{network.scenario.name}.transfers: {transfer} is not allowed by one rule")
    return Wanted(transfer, (client, server), next(iter(verdict.judgement.handlings)))


def _rated(network: SiteNetwork, title: str, several: Sequence[Wanted], *, reverse: bool) -> Iterator[Rated]:
    rates = {name: queue.max_rate for name, queue in network.world.intents().queues.items()}
    time.sleep(QUIET_S)
    _copies(network)
    with ThreadPoolExecutor(len(several)) as pool:
        found = list(pool.map(lambda one: _transfer(network, one.transfer, one.addresses[1], reverse=reverse), several))
    copies = _copies(network)
    for one, measured in zip(several, found, strict=True):
        queue = one.handling.queue
        yield Rated(
            title=title.format(one.transfer),
            queue=queue,
            allowed=rates[queue] if queue else int(UNHELD * max(rates.values(), default=0)),
            measured=measured,
            mirror=one.handling.mirror,
            copied=copies[frozenset(one.addresses), one.transfer.port],
        )


def _copies(network: SiteNetwork) -> Counter[tuple[frozenset[str], int]]:
    """Return the packets that mirrors have got since the last time, by their ends and the server's port."""
    bound = {mirror.binding.interface for mirror in network.world.intents().mirrors.values()}
    found: Counter[tuple[frozenset[str], int]] = Counter()
    for name in network.agents.keys() & bound:
        for _, source, destination, a, b, count in network.agents[name].ask("arrivals"):
            for port in {a, b}:
                found[frozenset({source, destination}), port] += count
    return found


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

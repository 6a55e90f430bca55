"""What networks say on one switch when no rule decides: once for a network, or for each party of one in a router."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import TypeAlias

from intent.compiler.engine.clauses import Flows
from intent.compiler.engine.people import Party
from intent.compiler.flow import FlowKey
from intent.compiler.policy import Posed, posture_flow
from intent.compiler.verdict import Verdicts
from intent.model import Direction

Whose: TypeAlias = str | Party
"""A network, or a party of it."""


class Postures:
    """Follows who is there; world has none."""

    def __init__(self, flows: Flows) -> None:
        self._flows = flows
        self._present: dict[str, dict[Party, None]] = {}
        """By network."""
        self._held: dict[Whose, tuple[FlowKey, ...]] = {}
        self._open: dict[Whose, None] = {}
        """Those that may have none."""

    def bear(self, party: Party) -> None:
        """Take in a party."""
        network = party.identity.network
        if not network:
            return
        if network not in self._present:
            self._present[network] = {}
            self._open[network] = None
        self._present[network][party] = self._open[party] = None

    def bury(self, party: Party) -> None:
        """Take out a party, and its network with the last."""
        network = party.identity.network
        if not network:
            return
        self._open.pop(party, None)
        self._flows.disclaim(self._held.pop(party, ()))
        del self._present[network][party]
        if not self._present[network]:
            del self._present[network]
            self._open.pop(network, None)
            self._flows.disclaim(self._held.pop(network, ()))

    def close(self, networks: Iterable[str] | None = None) -> None:
        """Take out what networks say; None for all."""
        for network in list(self._present) if networks is None else networks:
            if network not in self._present:
                continue
            self._flows.wake()
            everybody: list[Whose] = [network, *self._present[network]]
            for whose in everybody:
                self._flows.disclaim(self._held.pop(whose, ()))
                self._open[whose] = None

    def post(self, posture_of: Callable[[str], Posed], routed: Container[str], verdicts: Iterable[Verdicts]) -> None:
        """Put what is not there; `routed` are the networks that a router joins to others."""
        lanes = tuple(verdicts)
        for whose in self._open:
            is_network = isinstance(whose, str)
            network = whose if isinstance(whose, str) else whose.identity.network
            if whose not in self._held and (network in routed) != is_network:
                posed, identity = posture_of(network), None if isinstance(whose, str) else whose.number
                flows = (posture_flow(v, d, posed, identity) for v in lanes for d in Direction)
                self._held[whose] = self._flows.claim(flows)
        self._open.clear()

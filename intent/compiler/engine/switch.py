"""One switch: its flows, and what keeps each part of them up to date."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from intent.compiler.engine.clauses import Flows
from intent.compiler.engine.judge import Judge
from intent.compiler.engine.people import Party
from intent.compiler.engine.plugs import Ports
from intent.compiler.engine.policies import Policies
from intent.compiler.engine.rules import Layout
from intent.compiler.flow import Flow, FlowBody, FlowKey
from intent.compiler.handling import delivery_flow
from intent.compiler.pipeline import static_flows
from intent.compiler.tables import Table
from intent.compiler.verdict import reject_flows, silent_flow, tally_flows


class Switch:
    """Everything that is kept for one switch."""

    def __init__(self, dpid: int, layout: Layout, busy: dict[int, None]) -> None:
        self.flows = Flows(dpid, busy)
        self.judge = Judge(self.flows, layout)
        self.ports = Ports(self.flows, dpid)
        self._fixed: dict[FlowKey, FlowBody] = {}
        self._mirrors: dict[FlowKey, FlowBody] = {}
        self.is_new = True
        """Nothing was asked of it before: there is a program, and no delta."""

    def fix(self, fixed: dict[FlowKey, FlowBody]) -> None:
        """Hold exactly these flows, beside those that depend on who is there."""
        self._exchange(self._fixed, fixed)
        self._fixed = fixed

    def mirror(self, flows: Iterable[Flow]) -> None:
        """Hold exactly these flows for mirrors."""
        wanted = dict(flows)
        self._exchange(self._mirrors, wanted)
        self._mirrors = wanted

    def _exchange(self, held: dict[FlowKey, FlowBody], wanted: dict[FlowKey, FlowBody]) -> None:
        for key in held.keys() - wanted.keys():
            self.flows.take(key)
        for key, body in wanted.items():
            if held.get(key) != body:
                self.flows.put(Flow(key, body))

    def follow(self, party: Party) -> bool:
        """Take a party out that is not here any more; return whether it is to be taken in."""
        is_here = self.ports.dpid in party.where
        if party in self.judge.present and not is_here:
            self.judge.bury(party)
        return is_here and party not in self.judge.present


def fixed_flows(policies: Policies, layout: Layout) -> dict[FlowKey, FlowBody]:
    """Return what every switch holds, whoever is plugged in."""
    return dict(_fixed_flows(policies, layout))


def _fixed_flows(policies: Policies, layout: Layout) -> Iterator[Flow]:
    observing = layout.observing
    yield from static_flows(Table.CANDIDATE_EGRESS if observing else Table.EGRESS)
    if policies.handling:
        yield delivery_flow()
    if observing:
        yield from tally_flows(policies.observed())
    if policies.rejecting:
        yield from reject_flows((), observing=observing)
    elif observing:
        yield silent_flow()

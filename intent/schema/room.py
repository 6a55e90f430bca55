"""Whether a switch can tell the orders of a tier apart: asked of each write, at the cost of what it changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from intent.model import MAX_ORDERS, Intents, Mode, Policy
from intent.schema.documents import PolicyDoc
from intent.schema.problems import MAX_PROBLEMS, Problem
from topology.frozen import differing


class Room:
    """The orders in use by tier, with how many policies stand at each."""

    def __init__(self, intents: Intents) -> None:
        self._seen = intents
        self._orders: dict[str, Counter[int]] = {}
        for policy in intents.policies.values():
            self._count(policy, 1)

    def _count(self, policy: Policy | None, by: int) -> None:
        if policy is None or policy.mode is Mode.OFF:
            return
        orders = self._orders.setdefault(policy.tier, Counter())
        orders[policy.order] += by
        if not orders[policy.order]:
            del orders[policy.order]

    def follow(self, intents: Intents) -> None:
        """Take what holds now."""
        before, self._seen = self._seen, intents
        for name in differing(before.policies, intents.policies):
            self._count(before.policies.get(name), -1)
            self._count(intents.policies.get(name), 1)

    def problems(self, after: Intents, put: Iterable[object]) -> Iterator[Problem]:
        """Yield what of the documents that are `put` no switch has room for; nothing is remembered.

        A store that is beyond the bound already may be changed, but not grow.
        """
        found = [doc for doc in put if isinstance(doc, PolicyDoc)]
        if not found or len(after.policies) <= MAX_ORDERS:
            return
        before = {tier: len(orders) for tier, orders in self._orders.items()}
        seen = self._seen
        self.follow(after)
        grown = {
            tier: len(orders)
            for tier, orders in self._orders.items()
            if len(orders) > max(MAX_ORDERS, before.get(tier, 0))
        }
        self.follow(seen)
        for doc in [doc for doc in found if doc.tier in grown][:MAX_PROBLEMS]:
            message = f"the tier `{doc.tier}` would have {grown[doc.tier]} orders; a switch tells {MAX_ORDERS} apart"
            yield doc.problem(("order",), message, "give policies the same order, or delete some")

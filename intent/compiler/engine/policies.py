"""All policies in force, and which of their units anybody could meet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import TypeVar

from intent.compiler.engine.judge import Judge
from intent.compiler.engine.ledger import Ledger
from intent.compiler.engine.people import Cast, Party, People
from intent.compiler.engine.rules import Casting, Layout, PolicyPlan, RulePlan, Unit
from intent.compiler.engine.words import Words
from intent.compiler.handling import handles
from intent.model import Action, Intents, Mode, Policy

_Value = TypeVar("_Value")


class Policies:
    """Plans by policy. A change goes through `drop`, `read`, `enter`, `refresh` and `place`, in this order."""

    def __init__(self, ledger: Ledger, people: People) -> None:
        self._ledger = ledger
        self._people = people
        self.words = Words()
        self.plans: dict[str, PolicyPlan] = {}
        self._readers: dict[tuple[str, str], dict[str, None]] = {}
        """By kind and name of what is read: the policies."""
        self._observed: dict[str, PolicyPlan] = {}
        self._rejecting: dict[str, None] = {}
        self._handling: Counter[tuple[str, str]] = Counter()
        """Queues and mirrors, by space and name: how many rules in force name them."""
        self._old: list[PolicyPlan] = []
        self._new: list[PolicyPlan] = []
        self._fresh: dict[Unit, None] = {}
        """Units that anybody can meet and that have no place yet."""
        self._regarded: dict[Party, None] = {}
        """Parties that may be isolated otherwise than before."""

    def layout(self, intents: Intents) -> Layout:
        """Return what all policy tables depend on."""
        return Layout(intents.tiers, bool(self._observed))

    @property
    def rejecting(self) -> bool:
        """Whether any enforced rule rejects."""
        return bool(self._rejecting)

    @property
    def handling(self) -> bool:
        """Whether any enforced rule names a queue or a mirror."""
        return bool(self._handling)

    def handled(self, space: str) -> list[str]:
        """Return the queues, or the mirrors, that enforced rules name."""
        return sorted(name for kind, name in self._handling if kind == space)

    def units(self) -> Iterator[Unit]:
        """Yield the units that somebody can meet."""
        rules = (rule for plan in self.plans.values() for rule in plan.rules)
        return (unit for rule in rules for unit in rule.units.values() if unit.live)

    def observed(self) -> Iterator[tuple[int, Action]]:
        """Yield number and action of every rule that is observed and decides."""
        for _, plan in sorted(self._observed.items()):
            for rule in plan.rules:
                if rule.rule.action is not Action.PASS:
                    yield self._ledger.number("rule", rule.key), rule.rule.action

    def reading(self, kind: str, names: Iterable[str]) -> set[str]:
        """Return the policies that read any of these groups, or services."""
        return {policy for name in names for policy in self._readers.get((kind, name), ())}

    # -- in and out -----------------------------------------------------------------------------

    def drop(self, names: Iterable[str], judges: Collection[Judge]) -> bool:
        """Take policies out of every switch; return whether any of them was observed."""
        for name in names:
            plan = self.plans.pop(name, None)
            if plan is None:
                continue
            self._old.append(plan)
            for rule in plan.rules:
                for unit in list(rule.units.values()):
                    self._drop_unit(unit, judges)
            self._count(plan, -1)
        return any(plan.policy.mode is Mode.OBSERVE for plan in self._old)

    def _drop_unit(self, unit: Unit, judges: Collection[Judge]) -> None:
        for judge in judges:
            judge.remove((unit,))
        unit.plan.drop_unit(unit)
        self._fresh.pop(unit, None)
        if unit.live:
            self._count_part(unit, live=False)

    def read(self, names: Iterable[str], intents: Intents) -> bool:
        """Take policies in, as far as words and numbers go; return whether any of them is observed."""
        for name in names:
            policy = intents.policies.get(name)
            if policy is not None:
                plan = self.plans[name] = PolicyPlan(policy, intents)
                self._new.append(plan)
                self._count(plan, 1)
        return any(plan.policy.mode is Mode.OBSERVE for plan in self._new)

    def _count(self, plan: PolicyPlan, change: int) -> None:
        policy, ledger = plan.policy, self._ledger
        self.words.read(plan.reads, change)
        came = change > 0
        (ledger.want_order if came else ledger.release_order)(policy.tier, policy.order)
        for rule in plan.rules:
            pool = ledger.pools["rule"]
            (pool.want if came else pool.release)(rule.key)
            for space, name in handles(rule.rule):
                self._count_handled(policy, space, name, came=came)
            if rule.expires_at:
                (ledger.want_timer if came else ledger.release_timer)(plan.band, rule.key)
        _note(self._observed, policy.name, plan, there=came and policy.mode is Mode.OBSERVE)
        rejects = policy.mode is Mode.ENFORCE and any(r.action is Action.REJECT for r in policy.rules)
        _note(self._rejecting, policy.name, None, there=came and rejects)
        for key in (*(("group", g) for g in plan.groups), *(("service", s) for s in plan.services)):
            readers = self._readers.setdefault(key, {})
            _note(readers, policy.name, None, there=came)
            if not readers:
                del self._readers[key]

    def _count_handled(self, policy: Policy, space: str, name: str, *, came: bool) -> None:
        pool = self._ledger.pools[space]
        (pool.want if came else pool.release)(name)
        if policy.mode is Mode.ENFORCE:
            self._handling[space, name] += 1 if came else -1
            if not self._handling[space, name]:
                del self._handling[space, name]

    def enter(self, intents: Intents) -> None:
        """Take casts for what came, give back those of what went, and make units for new named ports."""
        people = self._people
        casting = Casting(people, intents)
        for plan in self._new:
            plan.enter(casting)
            self._fresh.update((unit, None) for rule in plan.rules for unit in rule.units.values())
        for rule, ports in people.born_parts.items():
            if self._holds(rule):
                self._fresh.update((rule.add_part(port, part), None) for port, part in ports.items())
        people.born_parts.clear()
        for plan in (*self._old, *self._new):
            if plan.subject is not None:
                self._regarded.update(dict.fromkeys(plan.subject.members))
        for plan in self._old:
            plan.leave(people)
        self._old, self._new = [], []

    def take_regarded(self) -> list[Party]:
        """Return the parties of subjects that changed."""
        found, self._regarded = list(self._regarded), {}
        return found

    def _holds(self, rule: RulePlan) -> bool:
        return self.plans.get(rule.policy.policy.name) is rule.policy and rule.policy not in self._new

    def drop_parts(self, judges: Collection[Judge]) -> None:
        """Drop the units of named ports that nobody names any more."""
        for part in self._people.dead_parts:
            for unit in list(part.servers):
                self._drop_unit(unit, judges)
            self._people.gone.append(part)
        self._people.dead_parts.clear()

    def refresh(self) -> None:
        """Find out which units anybody can meet now, before the numbers are settled."""
        turned: Iterable[Cast] = self._people.turned
        candidates = self._fresh | {u: None for cast in turned for u in (*cast.clients, *cast.servers)}
        self._people.turned.clear()
        self._fresh = {}
        for unit in candidates:
            live = unit.is_live
            if live != unit.live:
                self._count_part(unit, live=live)
                if live:
                    self._fresh[unit] = None

    def _count_part(self, unit: Unit, *, live: bool) -> None:
        plan, ledger = unit.plan, self._ledger
        action = None if plan.expires_at else plan.rule.action
        (ledger.want_part if live else ledger.release_part)(unit.key, plan.policy.band, action)
        unit.live = live

    # -- places ---------------------------------------------------------------------------------

    def place(self, layout: Layout, judges: Collection[Judge], *, anew: bool) -> list[Unit]:
        """Give units their places, now that the numbers are settled; return those to be looked at.

        Args:
            layout: as it is now.
            judges: take out what has to move.
            anew: everything moves, and nothing is placed.
        """
        if anew:
            units = list(self.units())
        else:
            moved = [unit for unit in self._moved() if unit not in self._fresh]
            for judge in judges if moved else ():
                judge.remove(moved)
            units = [*self._fresh, *moved]
        self._fresh = {}
        for unit in units:
            unit.place(self._ledger, layout)
        return units

    def _moved(self) -> Iterator[Unit]:
        """Yield the units whose priority is not as before, which only those of some bands can be."""
        bands = self._ledger.moved
        for plan in self.plans.values() if bands else ():
            if (plan.policy.tier, plan.policy.order) in bands:
                units = (unit for rule in plan.rules for unit in rule.units.values() if unit.live)
                yield from (unit for unit in units if unit.priority != unit.priority_now(self._ledger))


def _note(index: dict[str, _Value], name: str, value: _Value, *, there: bool) -> None:
    if there:
        index[name] = value
    else:
        index.pop(name, None)

"""What the switches counted: hits of rules, drops, and what observed policies would change."""

from __future__ import annotations

import dataclasses

import falcon

from intent.api.answers import CountersAnswer, DropAnswer, HitAnswer, ObservedAnswer, TallyAnswer
from intent.api.ports import Ports
from intent.api.writes import send
from intent.model import Mode, Policy


class Counters:
    """`/v1/counters`."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the sums over all switches."""
        counters = self._ports.counters
        policies = self._ports.store.intents().policies
        rules = [
            HitAnswer.model_validate({**dataclasses.asdict(hit), "action": _action(policies.get(hit.policy), hit.rule)})
            for hit in sorted(counters.hits())
        ]
        drops = [DropAnswer.model_validate(dataclasses.asdict(drop)) for drop in sorted(counters.drops())]
        send(resp, CountersAnswer(rules=rules, drops=drops))


def _action(policy: Policy | None, name: str) -> str | None:
    rules = () if policy is None else policy.rules
    return next((rule.action.value for rule in rules if rule.name == name), None)


class Observed:
    """`/v1/observed`."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with what would change were the observed policies enforced."""
        policies = self._ports.store.intents().policies.values()
        observing = sorted(p.name for p in policies if p.mode is Mode.OBSERVE)
        tallies = [
            (t.policy, TallyAnswer.model_validate(dataclasses.asdict(t)))
            for t in sorted(self._ports.counters.tallies())
        ]
        total = [answer for policy, answer in tallies if not policy]
        rules = [answer for policy, answer in tallies if policy]
        send(resp, ObservedAnswer(observing=observing, total=total, rules=rules))

"""Which rules came nearest to allowing what is denied: the answer to "but there is a rule for that"."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from intent.api.scene import Scene
from intent.api.verdict_answers import Differs, NearAnswer
from intent.meaning.policy import shortfalls
from intent.model import (
    Action,
    CidrPeer,
    Direction,
    EndpointPeer,
    GroupPeer,
    Intents,
    Mode,
    Operator,
    Peer,
    Policy,
    Requirement,
    Rule,
    Selector,
    SelectorPeer,
    ServiceMatch,
    ServiceName,
    WorldPeer,
)
from intent.schema.services import match_text
from intent.semantics import ByRules, Judgement
from topology.packet import Opening

MAX_NEAR = 3
"""Rules that an answer names; more would hide the first."""
MAX_ITEMS = 4
"""Peers, services or label values of a rule that are spelled out."""
FIRST: tuple[Differs, ...] = ("order", "standing", "services", "to", "from", "subject")
"""What people look for first: a rule that is there and does not count, then the port, then who."""
_SIGN = {Operator.IN: "in", Operator.NOT_IN: "not in", Operator.EXISTS: "is set", Operator.DOES_NOT_EXIST: "is not set"}


class _Near(NamedTuple):
    """A rule and the one thing that keeps it from allowing."""

    policy: Policy
    rule: Rule
    differs: Differs


def nearest(scene: Scene, opening: Opening, judgement: Judgement) -> list[NearAnswer]:
    """Return the rules that would allow an opening but for one thing, nearest first; none if it is allowed.

    Where a rule denies, only rules that fit wholly and come later are near: any other would come too late as well.
    """
    deciding = judgement.deciding
    if deciding is None or deciding.action is Action.ALLOW:
        return []
    direction = Direction.EGRESS if deciding is judgement.egress else Direction.INGRESS
    most = 0 if isinstance(deciding.because, ByRules) else 1
    asked = shortfalls(scene.intents, scene.inventory, opening, now=scene.now, offsets=scene.offsets)
    found = [
        _Near(policy, rule, missing[0] if missing else "order")
        for policy, rule, missing in asked
        if len(missing) <= most and rule.direction in {None, direction}
    ]
    found.sort(key=lambda near: (FIRST.index(near.differs), _breadth(near.rule), near.policy.name, near.rule.name))
    return [_answer(scene, near) for near in found[:MAX_NEAR]]


def _breadth(rule: Rule) -> int:
    """Count what a rule leaves open: one about everybody is near to everything, and says little."""
    return sum(part is None for part in (rule.from_, rule.to, rule.services))


def _answer(scene: Scene, near: _Near) -> NearAnswer:
    policy, rule, differs = near
    return NearAnswer(policy=policy.name, rule=rule.name, owner=policy.owner, differs=differs, says=_says(scene, near))


def _says(scene: Scene, near: _Near) -> str:
    policy, rule, differs = near
    match differs:
        case "from":
            return _listed(map(_peer, rule.from_ or ()), " or ")
        case "to":
            return _listed(map(_peer, rule.to or ()), " or ")
        case "services":
            return _listed((_service(scene.intents, s) for s in rule.services or ()), ", ")
        case "subject":
            return _selector(policy.subject or Selector())
        case "standing":
            return _standing(scene, policy)
        case "order":
            return f"tier {policy.tier}, order {policy.order}"


def _standing(scene: Scene, policy: Policy) -> str:
    """Say why a policy decides nothing now."""
    if policy.mode is not Mode.ENFORCE:
        return f"mode {policy.mode.value}"
    if policy.expires is not None and scene.now >= policy.expires:
        return f"expired {policy.expires.isoformat(timespec='seconds')}"
    return "outside its schedule"


def _peer(peer: Peer) -> str:
    match peer:
        case SelectorPeer():
            return _selector(peer.selector)
        case GroupPeer():
            return f"group {peer.name}"
        case EndpointPeer():
            return f"endpoint {peer.name}"
        case WorldPeer():
            return "world"
        case CidrPeer():
            holes = _listed(map(str, peer.exceptions), ", ")
            return f"{peer.cidr} except {holes}" if holes else str(peer.cidr)


def _selector(selector: Selector) -> str:
    return _listed(map(_requirement, selector.requirements), " and ") or "every endpoint"


def _requirement(requirement: Requirement) -> str:
    values, sign = sorted(requirement.values), _SIGN[requirement.operator]
    if not values:
        return f"{requirement.key} {sign}"
    if requirement.operator is Operator.IN and len(values) == 1:
        return f"{requirement.key}={values[0]}"
    return f"{requirement.key} {sign} ({_listed(values, ', ')})"


def _service(intents: Intents, service: ServiceMatch | ServiceName) -> str:
    if isinstance(service, ServiceMatch):
        return match_text(service)
    inside = intents.services[service.name].matches
    words = (match_text(m) if isinstance(m, ServiceMatch) else f"service {m.name}" for m in inside)
    return f"service {service.name} ({_listed(words, ', ')})"


def _listed(words: Iterable[str], between: str) -> str:
    """Join words, and only count those that are too many."""
    every: Sequence[str] = list(words)
    more = [f"{len(every) - MAX_ITEMS} more"] if len(every) > MAX_ITEMS else []
    return between.join([*every[:MAX_ITEMS], *more])

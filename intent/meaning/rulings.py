"""What policies say of an opening, and why: values."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple, TypeAlias

from intent.model import Action


class Decider(NamedTuple):
    """A rule that decided; in one band several may, and each is a correct answer."""

    policy: str
    rule: str


@dataclasses.dataclass(frozen=True, slots=True)
class ByRules:
    """The first band with a match decided."""

    tier: str
    order: int
    deciders: frozenset[Decider]
    """Every matching rule of the deciding action; never empty."""


@dataclasses.dataclass(frozen=True, slots=True)
class ByIsolation:
    """An isolating tier ended without a decision and these policies isolate the endpoint."""

    tier: str
    policies: frozenset[str]


@dataclasses.dataclass(frozen=True, slots=True)
class ByPosture:
    """Nothing decided, so the judged endpoint's network did."""

    network: str


Because: TypeAlias = ByRules | ByIsolation | ByPosture


class Handling(NamedTuple):
    """What becomes of a packet that is allowed, beside passing: names, None for nothing of the kind."""

    queue: str | None = None
    mirror: str | None = None

    def under(self, other: Handling) -> Handling:
        """Return what holds when another says more: each of its names goes before."""
        return Handling(other.queue or self.queue, other.mirror or self.mirror)


_PLAIN = frozenset({Handling()})


@dataclasses.dataclass(frozen=True, slots=True)
class Ruling:
    """What one side's policies say, and why. `action` is never `pass`."""

    action: Action
    because: Because
    handlings: frozenset[Handling] = _PLAIN
    """What each of the deciders wants; one of them is what happens."""


@dataclasses.dataclass(frozen=True, slots=True)
class Judgement:
    """Both sides' rulings on one opening; None where that side is no endpoint."""

    egress: Ruling | None
    ingress: Ruling | None

    @property
    def deciding(self) -> Ruling | None:
        """The ruling that is the verdict: the egress one if it does not allow, else the ingress one."""
        if self.egress is None or (self.egress.action is Action.ALLOW and self.ingress is not None):
            return self.ingress
        return self.egress

    @property
    def handlings(self) -> frozenset[Handling]:
        """What may become of a packet that is allowed: as an ingress decider wants, else as an egress decider does."""
        sides = [ruling.handlings for ruling in (self.egress, self.ingress) if ruling is not None]
        first, last = (sides[0], sides[-1]) if sides else (_PLAIN, _PLAIN)
        return frozenset(one.under(other) for one in first for other in last)

    @property
    def verdict(self) -> Action:
        """Deny, reject or allow. What no endpoint sends or gets, nobody here vouches for: deny."""
        return Action.DENY if self.deciding is None else self.deciding.action

"""What is answered to the question whether a connection is allowed, and why."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from intent.api.answers import Answer

Differs = Literal["from", "to", "services", "subject", "standing", "order"]
"""What of a rule does not fit. `standing`: its policy decides nothing now; `order`: another rule decides before it."""


class DeciderAnswer(Answer):
    """A rule that decided."""

    policy: str
    rule: str
    owner: str
    description: str
    queue: str | None = None
    """By which it lets leave what it allows."""
    mirror: str | None = None
    """Which it lets have a copy."""


class RulingAnswer(Answer):
    """What one side's policies say, and why."""

    action: Literal["allow", "deny", "reject"]
    by: Literal["rules", "isolation", "posture"]
    tier: str | None = None
    order: int | None = None
    rules: list[DeciderAnswer] = Field(default_factory=list)
    """Each is a correct decider; with `isolation`, no rules."""
    isolated_by: list[str] = Field(default_factory=list)
    """Policies of the isolating tier that select the endpoint."""
    network: str | None = None
    """With `posture`: whose posture it is."""


class HandlingAnswer(Answer):
    """What becomes of a packet that is allowed, beside passing."""

    queue: str | None
    mirror: str | None


class NearAnswer(Answer):
    """A rule that would have allowed it, had one thing been otherwise."""

    policy: str
    rule: str
    owner: str
    differs: Differs
    says: str
    """What the rule has there, in words."""


class PartyAnswer(Answer):
    """One end of a connection."""

    address: str
    endpoint: str | None
    """Null for world."""


class OpeningAnswer(Answer):
    """The verdict on one opening packet."""

    network: str
    from_: PartyAnswer
    to: PartyAnswer
    service: str
    verdict: Literal["allow", "deny", "reject"]
    decided_by: Literal["egress", "ingress"] | None
    """Whose judgement is the verdict; null where no policy was asked."""
    egress: RulingAnswer | None
    ingress: RulingAnswer | None
    handlings: list[HandlingAnswer] = Field(default_factory=list)
    """Where it is allowed: the queue and the mirror of its packets. Several if rules of one band say different things:
    one of them is what happens. None if no rule that decides names any."""
    nearest: list[NearAnswer] = Field(default_factory=list)
    """Where it is not allowed: the rules that came nearest to allowing it, at most three."""
    reason: str = ""
    """Where no policy was asked: why not."""


class VerdictAnswer(Answer):
    """The verdict on a connection, for each pair of addresses and each match of the service."""

    verdict: Literal["allow", "deny", "reject", "mixed"]
    reason: str = ""
    revision: int
    openings: list[OpeningAnswer]

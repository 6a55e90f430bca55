"""What a rule may want for what it allows, and the documents that say what that is: queues and mirrors."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from intent.schema.base import BindingDoc, DocumentBase, Part
from intent.schema.scalars import Name, refusal

MAX_QUEUES = 16
"""A switch tells 31 apart, of which those that went lately rest."""
LEAST_RATE, MAX_RATE = 64_000, 10**12
Rate = Annotated[int, Field(ge=LEAST_RATE, le=MAX_RATE)]
"""Bits a second."""


class HandledRule(Part):
    """What all rules have in common."""

    name: Name | None = None
    """Omitted: derived from the content, so that it stays when rules are added around it."""
    action: Literal["allow", "deny", "reject", "pass"]
    queue: Name | None = None
    """With `allow`: the Queue by which it leaves to its receiver, of both directions."""
    mirror: Name | None = None
    """With `allow`: the Mirror that gets a copy."""

    @model_validator(mode="after")
    def _allows(self) -> Self:
        for field in () if self.action == "allow" else ("queue", "mirror"):
            if getattr(self, field) is not None:
                raise refusal(f"`{field}` goes with `allow`: what is not allowed goes nowhere", f"leave `{field}` out")
        return self


class QueueDoc(DocumentBase):
    """A class of service. Each port has it for itself: what rules put there, and leaves by the port, is held to it."""

    kind: Literal["Queue"]
    name: Name
    max_rate: Rate
    """Bits a second; what exceeds them is dropped."""


class MirrorDoc(DocumentBase):
    """A port that gets copies, on each switch that has it. Nobody is there: what comes from it is dropped."""

    kind: Literal["Mirror"]
    name: Name
    binding: BindingDoc

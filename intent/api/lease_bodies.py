"""What is sent and answered about leased addresses: `/v1/leases`."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from intent.api.answers import Answer
from intent.api.host_bodies import Body
from intent.leasing import MAX_BLOCKS, MOST_COUNTED

MAX_POOLS = 1024


def _block(text: str) -> str:
    ipaddress.ip_network(text)
    return text


_Text = Annotated[str, StringConstraints(max_length=64), AfterValidator(_block)]
_Blocks = Annotated[list[_Text], Field(max_length=MAX_BLOCKS)]


class PoolBody(Body):
    """A part of a subnet that a holder gives addresses from."""

    part: _Text
    """A subnet, or the part of it to choose from: `10.1.0.0/24`."""
    want: Annotated[int, Field(ge=0, le=MOST_COUNTED * 4)]
    """How many addresses of it the holder needs in all; it gets whole blocks."""


class LeaseBody(Body):
    """All that a holder wants and has: what it does not name comes back."""

    turn: Annotated[int, Field(ge=0, le=2**53)]
    """Grows with each request of the holder; an older one changes nothing."""
    pools: Annotated[list[PoolBody], Field(max_length=MAX_POOLS)] = Field(default_factory=list)
    blocks: _Blocks = Field(default_factory=list)
    """What it was leased, as it remembers."""
    claims: _Blocks = Field(default_factory=list)
    """Single addresses that it needs outside of its blocks."""


class RefusedLeaseAnswer(Answer):
    """A block or an address that another holder has."""

    block: str
    holder: str


class LeaseAnswer(Answer):
    """All that a holder has."""

    holder: str
    turn: int
    """The newest turn that was heard: greater than the request's if that came too late."""
    blocks: list[str]
    claims: list[str]
    resting: list[str]
    """What came back, and rests before another holder gets it."""
    refused: list[RefusedLeaseAnswer] = Field(default_factory=list)


class LeasesAnswer(Answer):
    """What all holders have."""

    items: list[LeaseAnswer]


class LeaseForgottenAnswer(Answer):
    """What became of a holder."""

    holder: str
    changed: bool

"""Addresses that are leased to the Docker drivers of hosts: `/v1/leases`."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

import falcon
from pydantic import AfterValidator, Field, StringConstraints

from intent.api import requests
from intent.api.answers import Answer
from intent.api.errors import BAD_REQUEST, UNPROCESSABLE, RequestError
from intent.api.host_bodies import Body
from intent.api.ports import Ports
from intent.api.writes import send
from intent.leasing import MAX_BLOCKS, MOST_COUNTED, Block, Holding, PoolWish, Wish

MAX_BODY = 1 << 20
MAX_POOLS = 1024
_SHAPE = "send JSON: turn, pools of part and want, blocks and claims as CIDR"
_HOLDER = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")


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


class LeaseList:
    """`/v1/leases`: of all holders."""

    def __init__(self, ports: Ports) -> None:
        self._leases = ports.leases

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """List them."""
        send(resp, LeasesAnswer(items=[_answer(name, held) for name, held in sorted(self._leases.book().items())]))


class OneHolder:
    """`/v1/leases/{holder}`: of one. Both methods may be repeated."""

    def __init__(self, ports: Ports) -> None:
        self._leases = ports.leases

    def on_put(self, req: falcon.Request, resp: falcon.Response, holder: str) -> None:
        """Give it what it wants, as far as nobody else has it; take back what it does not name."""
        _check(holder)
        wish = _wish(requests.model(req, MAX_BODY, LeaseBody, _SHAPE))
        with requests.refusals(f"leases/{holder}"):
            settled = self._leases.settle(holder, wish)
        others = [RefusedLeaseAnswer(block=str(block), holder=name) for block, name in settled.refused.items()]
        send(resp, _answer(holder, settled.holding).model_copy(update={"refused": others}))

    def on_delete(self, _req: falcon.Request, resp: falcon.Response, holder: str) -> None:
        """Take back all of a holder that is gone for good."""
        _check(holder)
        with requests.refusals(f"leases/{holder}"):
            changed = self._leases.forget(holder)
        send(resp, LeaseForgottenAnswer(holder=holder, changed=changed))


def _check(holder: str) -> None:
    if not _HOLDER.fullmatch(holder):
        remedy = "1 to 63 lower case letters, digits, '.' and '-'; see GET /v1/leases"
        raise RequestError(BAD_REQUEST, "path.holder", "this is no name of a holder", remedy)


def _wish(body: LeaseBody) -> Wish:
    pools = tuple(PoolWish(ipaddress.ip_network(pool.part), pool.want) for pool in body.pools)
    claims = frozenset(map(ipaddress.ip_network, body.claims))
    if wide := [claim for claim in claims if claim.num_addresses > 1]:
        remedy = "claim single addresses; ranges are leased for `pools`"
        raise RequestError(UNPROCESSABLE, "body.claims", f"{wide[0]} is no single address", remedy)
    return Wish(body.turn, pools, frozenset(map(ipaddress.ip_network, body.blocks)), claims)


def _answer(holder: str, held: Holding) -> LeaseAnswer:
    return LeaseAnswer(
        holder=holder,
        turn=held.turn,
        blocks=_texts(held.blocks),
        claims=_texts(held.claims),
        resting=_texts(frozenset(held.resting)),
    )


def _texts(blocks: frozenset[Block]) -> list[str]:
    return [str(block) for block in sorted(blocks, key=lambda b: (b.version, int(b.network_address), b.prefixlen))]

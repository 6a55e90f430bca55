"""Addresses that are leased to the Docker drivers of hosts: `/v1/leases`."""

from __future__ import annotations

import ipaddress
import re

import falcon

from intent.api import requests
from intent.api.errors import BAD_REQUEST, UNPROCESSABLE, RequestError
from intent.api.lease_bodies import LeaseAnswer, LeaseBody, LeaseForgottenAnswer, LeasesAnswer, RefusedLeaseAnswer
from intent.api.ports import Ports
from intent.api.writes import send
from intent.leasing import Block, Holding, PoolWish, Wish

MAX_BODY = 1 << 20
_SHAPE = "send JSON: turn, pools of part and want, blocks and claims as CIDR"
_HOLDER = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")


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

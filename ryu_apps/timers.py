"""Flows that end by themselves: `expires_at` in programs, `hard_timeout` on the wire.

A switch holds a timer of at most 65,535 s; a later end is renewed before half of it has run, so that without a
controller an allow ends at its expiry or after 18 hours, whichever is first. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from intent.compiler.flow import Flow, FlowBody, FlowKey, Program

MAX_TIMEOUT_S = 65_535
RENEW_S = MAX_TIMEOUT_S // 2
TOLERANCE_S = 2.0
"""How far the ends that a dump and a program give may be apart (a switch counts whole seconds)."""


def on_wire(flow: Flow, now_s: float) -> Flow:
    """Return a flow as it is sent now; it has at least a second left, see `over`."""
    ends = flow.body.expires_at
    if not ends:
        return flow
    timeout = max(1, min(int(ends - now_s), MAX_TIMEOUT_S))
    return flow._replace(body=flow.body._replace(hard_timeout=timeout, expires_at=0))


def from_wire(body: FlowBody, remaining_s: float | None, now_s: float) -> FlowBody:
    """Return what a dumped flow is in a program."""
    if remaining_s is None:
        return body
    return body._replace(hard_timeout=0, expires_at=round(now_s + remaining_s))


def settled(actual: Program, desired: Program, now_s: float) -> Program:
    """Return `actual` with the ends of `desired` wherever the switch's own timer serves them."""
    timed = {key: body for key, body in actual.items() if body.expires_at}
    agreed: Program = {}
    for key, body in timed.items():
        wanted = desired.get(key)
        if wanted is not None and wanted.expires_at and _serves(body.expires_at, wanted.expires_at, now_s):
            agreed[key] = body._replace(expires_at=wanted.expires_at)
    return {**actual, **agreed} if agreed else actual


def timed(program: Program) -> frozenset[FlowKey]:
    """Return the keys of the flows that end by themselves."""
    return frozenset(key for key, body in program.items() if body.expires_at)


def over(program: Program, timed_keys: Iterable[FlowKey], now_s: float) -> set[FlowKey]:
    """Return the keys of flows whose end has come: whatever the program says, they are not sent again.

    A switch counts whole seconds, so what has less than one left is over too: it never ends late.
    """
    return {key for key in timed_keys if key in program and program[key].expires_at < now_s + 1}


def _serves(ends: float, wanted: float, now_s: float) -> bool:
    if abs(ends - wanted) <= TOLERANCE_S:
        return True
    return now_s + RENEW_S <= ends <= wanted

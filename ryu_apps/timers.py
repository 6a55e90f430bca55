"""Flows that end by themselves: `expires_at` in programs, `hard_timeout` on the wire.

A switch holds a timer of at most 65,535 s; a later end is renewed before half of it has run, so that without a
controller an allow ends at its expiry or after 18 hours, whichever is first. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from intent.compiler.flow import Flow, FlowBody, FlowKey
from topology.frozen import FrozenMap

Held: TypeAlias = Mapping[FlowKey, FlowBody]
Actual: TypeAlias = FrozenMap[FlowKey, FlowBody]
Timed: TypeAlias = Mapping[int, frozenset[FlowKey]]
"""Flows that end by themselves, by their end in seconds since the epoch."""

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


def settled(actual: Actual, desired: Held, timed: Timed, now_s: float) -> Actual:
    """Return `actual` with the ends of `desired` wherever the switch's own timer serves them; `timed` are its.

    An end that is further away than a timer can be is served only if all flows with that end have theirs together:
    else they are sent anew, all at once. Half a rule would hide what stands below it, should nobody renew it.
    """
    agreed: dict[FlowKey, FlowBody] = {}
    for ends, keys in timed.items():
        wanted = [key for key in keys if key in desired]
        held = {key: actual[key] for key in wanted if key in actual and actual[key].expires_at}
        if ends - now_s > MAX_TIMEOUT_S and (len(held) < len(wanted) or not _are_together(held.values())):
            continue
        agreed |= {
            key: body._replace(expires_at=ends) for key, body in held.items() if _serves(body.expires_at, ends, now_s)
        }
    return actual.but(agreed)


def _are_together(bodies: Iterable[FlowBody]) -> bool:
    ends = [body.expires_at for body in bodies]
    return not ends or max(ends) - min(ends) <= TOLERANCE_S


def timed(program: Held) -> dict[int, frozenset[FlowKey]]:
    """Return the keys of the flows that end by themselves, by their end."""
    found: dict[int, set[FlowKey]] = {}
    for key, body in program.items():
        if body.expires_at:
            found.setdefault(body.expires_at, set()).add(key)
    return {ends: frozenset(keys) for ends, keys in found.items()}


def over(timed_keys: Timed, now_s: float) -> set[FlowKey]:
    """Return the keys of flows whose end has come: whatever the program says, they are not sent again.

    A switch counts whole seconds, so what has less than one left is over too: it never ends late.
    """
    return {key for ends, keys in timed_keys.items() if is_over(ends, now_s) for key in keys}


def is_over(ends: float, now_s: float) -> bool:
    """Whether an end is too near for a timer, or past."""
    return ends < now_s + 1


def _serves(ends: float, wanted: float, now_s: float) -> bool:
    if abs(ends - wanted) <= TOLERANCE_S:
        return True
    return now_s + RENEW_S <= ends <= wanted

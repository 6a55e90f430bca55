"""What others did to a switch that holds what we wrote: flows that they added, removed or changed. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from intent.compiler.flow import FlowBody, FlowKey
from ryu_apps.timers import Actual
from ryu_apps.wire import ForeignFlow
from topology.breathing import Breathe, go_on, paced
from topology.frozen import differing


@dataclasses.dataclass(frozen=True, slots=True)
class Deeds:
    """How much they did."""

    added: int
    lost: int
    """Flows of ours that are gone, or are not as we left them."""
    example: str
    """One that was added, for the log; empty if there is none."""


def deeds(before: Actual, found: Actual, foreign: Collection[ForeignFlow], breathe: Breathe = go_on) -> Deeds:
    """Return what is different from what we left; `breathe` is called now and then."""
    added = lost = 0
    first: FlowKey | None = None
    for key in paced(differing(before, found), breathe):
        if key not in before:
            added, first = added + 1, first or key
        elif not _is_still(before[key], found.get(key)):
            lost += 1
    return Deeds(added + len(foreign), lost, some([first] if first else foreign))


def some(extra: Collection[FlowKey | ForeignFlow]) -> str:
    """Name one foreign flow, for the log."""
    return next((f"; one is in table {flow.table}, priority {flow.priority}" for flow in extra), "")


def _is_still(known: FlowBody, found: FlowBody | None) -> bool:
    """Whether a flow is as we left it; when it ends is the switch's to count, and it may have ended."""
    if found is None:
        return bool(known.expires_at)
    return known._replace(expires_at=0) == found._replace(expires_at=0)

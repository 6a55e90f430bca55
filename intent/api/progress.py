"""How far the switches are with a revision: pending, realized n of m, or failed and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from intent.api.answers import RealizedAnswer
from intent.api.ports import StatusPort, SwitchStatus


class Progress:
    """How far the switches are, asked once for any number of documents."""

    def __init__(self, status: StatusPort) -> None:
        self._switches, self._failures = status.switches(), status.failures()

    def of(self, revision: int, keys: Iterable[tuple[str, str]]) -> RealizedAnswer:
        """Count the switches that confirmed `revision`, in which the documents `keys` were written.

        A switch that is away counts as one that did not confirm; with no switch at all nothing is confirmed.
        """
        failures = self._failures
        behind = [s for s in self._switches if s.revision is None or s.revision < revision]
        total, done = len(self._switches), len(self._switches) - len(behind)
        reasons = [f"{kind}/{name}: {failures[kind, name]}" for kind, name in keys if (kind, name) in failures]
        if total and not behind and not reasons:
            return RealizedAnswer(phase="realized", realized=done, switches=total)
        reasons += [f"switch {s.dpid:016x}: {s.problem}" for s in behind if s.problem]
        phase = "failed" if reasons else "pending"
        reason = "; ".join(reasons[:8]) or _waiting_for(behind)
        return RealizedAnswer.model_validate({"phase": phase, "realized": done, "switches": total, "reason": reason})


def _waiting_for(behind: Sequence[SwitchStatus]) -> str:
    if not behind:
        return "no switch is managed yet"
    away = [f"{s.dpid:016x}" for s in behind if not s.connected]
    return f"not connected: {', '.join(away[:8])}" if away else ""

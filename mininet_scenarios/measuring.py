"""Measuring a matrix with real packets: every cell at once, each end asked what it saw."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterable, Mapping, Sequence

from mininet_scenarios.agents import Agent, ask_all
from mininet_scenarios.expectation import ECHO_REQUEST, Cell, Expected, Judge
from mininet_scenarios.forging import Forged
from mininet_scenarios.scenario import PROTOCOLS
from topology.packet import ICMP, ICMPV6, Outcome

QUICK_S = 0.6
"""How long a probe waits for its answer at first."""
TIMEOUT_S = 1.3
"""How long it does so where none came and one should: TCP sends its opening packet again after 1 s."""
PATIENCE_S = 4.0
"""How long it does so where none came even then: TCP sends it once more after 3 s, and the machine may be busy."""


@dataclasses.dataclass(frozen=True, slots=True)
class Measured:
    """What became of a cell's packet.

    To many it is `open` if one copy arrived, `repeated` if several did, else `blocked`. To one,
    `outcome` is `open` (answered), `blocked` (nothing arrived anywhere), `refused` (answered with no,
    and did not arrive), `one-way` (arrived, no answer came back) or `leaked` (arrived at somebody else).
    """

    outcome: str
    detail: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Compared:
    """A cell, what the semantics say and what packets did."""

    cell: Cell
    expected: Expected
    measured: Measured

    @property
    def as_intended(self) -> bool:
        """Say whether both agree. Being told is rationed (10 answers a second a port), being blocked is not."""
        if self.expected.outcome == "refused":
            return self.measured.outcome in {"refused", "blocked"}
        return self.expected.outcome == self.measured.outcome


def judged(agents: Mapping[str, Agent], judge: Judge, cells: Sequence[Cell]) -> list[Compared]:
    """Measure, and put what the semantics say beside it.

    Of those that should be open and are not answered soon, the packet may have been lost or late: they are asked again,
    with time for TCP's second, and once more. What arrives where it should not counts at once.
    """
    found = compare(judge, matrix(agents, cells, QUICK_S))
    for timeout_s in (TIMEOUT_S, PATIENCE_S):
        again = matrix(agents, [one.cell for one in found if _may_be_late(one)], timeout_s)
        found = [dataclasses.replace(one, measured=again.get(one.cell, one.measured)) for one in found]
    return found


def _may_be_late(one: Compared) -> bool:
    return one.measured.outcome in {"blocked", "one-way"} and one.expected.outcome == "open"


def matrix(agents: Mapping[str, Agent], cells: Sequence[Cell], timeout_s: float = TIMEOUT_S) -> dict[Cell, Measured]:
    """Open every cell's connection, in parallel, and return what came of each."""
    to_many = [cell for cell in cells if cell.probe.group]
    return _to_one(agents, [cell for cell in cells if not cell.probe.group], timeout_s) | _to_many(agents, to_many)


def _to_one(agents: Mapping[str, Agent], cells: Sequence[Cell], timeout_s: float) -> dict[Cell, Measured]:
    if not cells:
        return {}
    ask_all(agents.values(), "arrivals")
    by_source: dict[str, list[dict[str, object]]] = {name: [] for name in agents}
    for number, cell in enumerate(cells):
        asked = {"id": number, "protocol": cell.probe.protocol, "src": cell.src, "dst": cell.dst}
        by_source[cell.source].append({**asked, "port": cell.probe.port})
    asking = [agents[name] for name, probes in by_source.items() if probes]
    for agent in asking:
        agent.post("probe", probes=by_source[agent.name], timeout_s=timeout_s)
    answers = {number: (result, ident) for agent in asking for number, result, ident in agent.reply()}
    arrived = {
        name: {tuple(flow[:5]) for flow in flows} for name, flows in ask_all(agents.values(), "arrivals").items()
    }
    return {cell: _measured(cell, answers[number], arrived) for number, cell in enumerate(cells)}


def _to_many(agents: Mapping[str, Agent], cells: Sequence[Cell]) -> dict[Cell, Measured]:
    """Send one datagram for each cell, and count its copies there; a first round warms the underlay up."""
    _cast(agents, cells)
    sent = _cast(agents, cells)
    arrived = {
        name: {tuple(flow[:5]): flow[5] for flow in flows}
        for name, flows in ask_all(agents.values(), "arrivals").items()
    }
    copies = ((cell, arrived[cell.destination].get(_flow(cell, sent[number]), 0)) for number, cell in enumerate(cells))
    outcomes = ("blocked", "open", "repeated")
    return {cell: Measured(outcomes[min(count, 2)], f"{count} copies") for cell, count in copies}


def _cast(agents: Mapping[str, Agent], cells: Sequence[Cell]) -> dict[int, int]:
    """Return the source ports of what was sent, by cell."""
    if not cells:
        return {}
    ask_all(agents.values(), "arrivals")
    for name in agents:
        own = [(number, cell) for number, cell in enumerate(cells) if cell.source == name]
        wanted = [{"id": n, "src": c.src, "dst": c.dst, "port": c.probe.port} for n, c in own]
        agents[name].post("cast", datagrams=wanted)
    sent = {number: port for agent in agents.values() for number, port in agent.reply()}
    ask_all(agents.values(), "settle")
    return sent


def compare(judge: Judge, measured: Mapping[Cell, Measured]) -> list[Compared]:
    """Put what the semantics say beside what was measured."""
    return [Compared(cell, judge.expect(cell), found) for cell, found in measured.items()]


def _measured(cell: Cell, answer: tuple[str, int], arrived: Mapping[str, set[tuple[object, ...]]]) -> Measured:
    result, ident = answer
    flow = _flow(cell, ident)
    places = {name for name, flows in arrived.items() if flow in flows}
    if places - {cell.destination}:
        return Measured("leaked", f"arrived at {', '.join(sorted(places))}")
    if cell.destination in places:
        return Measured("open" if result == "open" else "one-way", result)
    if result == "open":
        return Measured("leaked", "answered by somebody else")
    return Measured("refused" if result == "refused" else "blocked", result)


def _flow(cell: Cell, ident: int) -> tuple[object, ...]:
    """Return the opening packet as the agents note what arrives."""
    protocol = PROTOCOLS[cell.probe.protocol]
    src, dst = (str(ipaddress.ip_address(text)) for text in (cell.src, cell.dst))
    if protocol != ICMP:
        return protocol, src, dst, ident, cell.probe.port
    protocol = ICMP if cell.version == 4 else ICMPV6  # noqa: PLR2004 - IP version
    return protocol, src, dst, ECHO_REQUEST[protocol], ident


@dataclasses.dataclass(frozen=True, slots=True)
class ComparedFrame:
    """A raw frame, where the semantics let it arrive (None: nowhere) and where it did."""

    forged: Forged
    expected: str | None
    arrived: tuple[str, ...]
    why: str

    @property
    def as_intended(self) -> bool:
        """Say whether it arrived there and nowhere else."""
        return self.arrived == (() if self.expected is None else (self.expected,))


def frames(agents: Mapping[str, Agent], forged: Sequence[Forged], judge: Judge) -> list[ComparedFrame]:
    """Send raw frames and say where each arrived."""
    for name in {one.sender for one in forged}:
        agents[name].post("send", frames=[f.to_bytes().hex() for f in forged if f.sender == name])
    for name in {one.sender for one in forged}:
        agents[name].reply()
    return [_compared_frame(one, judge, places) for one, places in zip(forged, _places(agents, forged), strict=True)]


def _places(agents: Mapping[str, Agent], forged: Sequence[Forged]) -> list[tuple[str, ...]]:
    """Return where each frame arrived, after all had the time to."""
    ask_all(agents.values(), "settle")
    found: list[list[str]] = [[] for _ in forged]
    for name, agent in sorted(agents.items()):
        # Answers carry the number back to the sender; only the frame itself is one that came back.
        needles = [(one.to_bytes() if one.sender == name else one.needle).hex() for one in forged]
        for number in agent.ask("seen", needles=needles):
            found[number].append(name)
    return [tuple(places) for places in found]


def _compared_frame(forged: Forged, judge: Judge, arrived: tuple[str, ...]) -> ComparedFrame:
    verdict = judge.verdict(forged.frame)
    location = verdict.fate.location
    delivered = verdict.fate.outcome is Outcome.DELIVER and location is not None
    expected = location.interface if delivered and location is not None else None
    return ComparedFrame(forged, expected, arrived, verdict.reason.value)


def unintended(cells: Iterable[Compared]) -> list[Compared]:
    """Return the cells where packets and semantics disagree."""
    return [one for one in cells if not one.as_intended]

"""What a run says to people: topology, intents, the matrix as a table, what changed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TextIO

from mininet_scenarios.conversing import TalkResult
from mininet_scenarios.measuring import Compared, ComparedFrame
from mininet_scenarios.rating import Rated
from mininet_scenarios.runner import Phase, Result
from mininet_scenarios.scenario import Document, Scenario, Workload
from mininet_scenarios.streaming import StreamResult

GREEN, RED, DIM, BOLD, OFF = "\x1b[32m", "\x1b[1;31m", "\x1b[2m", "\x1b[1m", "\x1b[0m"
SIGNS = {"open": "●", "refused": "✗", "blocked": "·"}
PLAIN_SIGNS = {"open": "o", "refused": "x", "blocked": "."}
MEGA = 1_000_000
MAX_UNINTENDED = 40


class Paper:
    """Where the report goes; knows whether colours and signs beyond ASCII are understood there."""

    def __init__(self, stream: TextIO, *, colours: bool) -> None:
        self._stream = stream
        self._colours = colours
        unicode = (stream.encoding or "").lower().replace("-", "") == "utf8"
        self.signs = SIGNS if unicode else PLAIN_SIGNS
        self.arrow = "→" if unicode else "->"

    def line(self, text: str = "") -> None:
        """Write a line at once, so that progress is seen."""
        self._stream.write(text + "\n")
        self._stream.flush()

    def heading(self, text: str) -> None:
        """Write a heading with a line above it."""
        self.line()
        self.line(self.painted(BOLD, text))

    def painted(self, colour: str, text: str) -> str:
        """Return text in a colour, where colours are understood."""
        return f"{colour}{text}{OFF}" if self._colours else text


def topology(paper: Paper, scenario: Scenario) -> None:
    """Write who is plugged in, by network."""
    paper.heading(f"Topology: bridge {scenario.bridge}, {len(scenario.workloads)} workloads")
    by_network = sorted(scenario.workloads.values(), key=lambda w: w.network)
    for network, workloads in itertools.groupby(by_network, key=lambda w: w.network):
        paper.line(f"  network {network}")
        for workload in workloads:
            paper.line(f"    {workload.name:<10} {', '.join(workload.addresses):<24} {_about(workload)}")


def _about(workload: Workload) -> str:
    if workload.source == "none":
        return "(no identity: nobody declared it)"
    labels = ", ".join(f"{key}={value}" for key, value in workload.labels.items())
    return labels or "(no labels)"


def intents(paper: Paper, documents: Iterable[Document]) -> None:
    """Write each document in a line or two."""
    paper.heading("Intents")
    for document in documents:
        for line in _document(document):
            paper.line(f"  {line}")


def _document(document: Document) -> Iterator[str]:
    kind, name = document["kind"], document["name"]
    if kind != "Policy":
        said = {k: v for k, v in document.items() if k not in {"kind", "name"} and v not in ({}, [], "", None)}
        facts = "; ".join(f"{k}: {_short(v)}" for k, v in said.items())
        yield f"{kind} {name}  {facts}"
        return
    place = f"tier {document.get('tier', 'application')}, order {document.get('order', 1000)}"
    about = ", ".join(text for text in (place, document.get("owner", "")) if text)
    yield f"Policy {name}  ({about})"
    for rule in document.get("rules", []):
        yield f"    {rule['action']} from {_peers(rule.get('from'))} to {_peers(rule.get('to'))}: {_services(rule)}"
    subject = _short(document.get("subject", {}))
    for rule in document.get("ingress", []):
        yield f"    {rule['action']} into {subject} from {_peers(rule.get('from'))}: {_services(rule)}"
    for rule in document.get("egress", []):
        yield f"    {rule['action']} out of {subject} to {_peers(rule.get('to'))}: {_services(rule)}"


def _peers(peers: Sequence[Mapping[str, object]] | None) -> str:
    return "anybody" if peers is None else " or ".join(_short(peer) for peer in peers)


def _services(rule: Mapping[str, Sequence[object]]) -> str:
    return ", ".join(_short(s) for s in rule["services"]) if "services" in rule else "everything"


def _short(value: object) -> str:
    """Return a value without the punctuation of YAML."""
    if isinstance(value, dict):
        if set(value) == {"labels"}:
            return _short(value["labels"])
        return " ".join(f"{key}={_short(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_short(item) for item in value)
    return str(value)


# -- the matrix -------------------------------------------------------------------------------


def matrix(paper: Paper, phase: Phase) -> None:
    """Write a table for each address family: rows send, columns receive, a sign for each probe."""
    for version in sorted({one.cell.version for one in phase.cells}):
        rows = [one for one in phase.cells if one.cell.version == version]
        paper.heading(f"IPv{version}, {phase.title}: {len(rows)} cells measured in {phase.seconds:.1f} s")
        _table(paper, rows)
    wrong = [one for one in phase.cells if not one.as_intended]
    for one in wrong[:MAX_UNINTENDED]:
        paper.line(paper.painted(RED, f"  NOT AS INTENDED: {_told(one)}"))


def _table(paper: Paper, rows: Sequence[Compared]) -> None:
    names = list(dict.fromkeys(one.cell.source for one in rows))
    probes = list(dict.fromkeys(str(one.cell.probe) for one in rows))
    width = max(len(probes), *map(len, names)) + 2
    paper.line(f"  rows send, columns receive; in each cell: {' '.join(probes)}; {_legend(paper, rows)}")
    paper.line(" " * width + "".join(name.rjust(width) for name in names))
    found: dict[tuple[str, str], dict[str, list[Compared]]] = {}
    for one in rows:
        pair = found.setdefault((one.cell.source, one.cell.destination), {})
        pair.setdefault(str(one.cell.probe), []).append(one)
    for source in names:
        line = source.rjust(width)
        for destination in names:
            cell = found.get((source, destination), {})
            text = "".join(_sign(paper, cell[probe]) for probe in probes if probe in cell)
            line += " " * (width - sum(probe in cell for probe in probes)) + text
        paper.line(line)


def _legend(paper: Paper, rows: Sequence[Compared]) -> str:
    signs = paper.signs
    refused = f", {signs['refused']} refused (answers are rationed)"
    rejecting = any(one.expected.outcome == "refused" for one in rows)
    return f"{signs['open']} passes, {signs['blocked']} blocked{refused if rejecting else ''}, ! not as intended"


def _sign(paper: Paper, same: Sequence[Compared]) -> str:
    """Return one sign for a probe; where addresses of one pair differ, the most open one."""
    if not all(one.as_intended for one in same):
        return paper.painted(RED, "!")
    outcomes = {one.measured.outcome for one in same}
    outcome = next(name for name in paper.signs if name in outcomes)
    return paper.painted(GREEN if outcome == "open" else DIM, paper.signs[outcome])


def _told(one: Compared) -> str:
    cell = one.cell
    found = f"{one.measured.outcome} ({one.measured.detail})" if one.measured.detail else one.measured.outcome
    return (
        f"{cell.source} {cell.src} to {cell.destination} {cell.dst} {cell.probe}: "
        f"{found}, but the intents say {one.expected.outcome}: {one.expected.why}"
    )


def changes(paper: Paper, before: Phase, after: Phase) -> None:
    """Write which cells a step changed, and why they are as they are now."""
    earlier = {one.cell: _outcome(one) for one in before.cells}
    changed = [one for one in after.cells if earlier.get(one.cell, _outcome(one)) != _outcome(one)]
    paper.heading(f"What changed: {len(changed)} cells")
    for one in changed:
        cell, now = one.cell, _outcome(one)
        colour = GREEN if now == "open" else DIM
        what = f"{cell.source} {paper.arrow} {cell.destination} {cell.probe}"
        paper.line(f"  {what:<34} {earlier[cell]} {paper.arrow} {paper.painted(colour, now)}   ({one.expected.why})")


def _outcome(one: Compared) -> str:
    """Return what became of a cell. Whether one that rejects was told so is chance, as answers are rationed."""
    return one.expected.outcome if one.as_intended else one.measured.outcome


# -- frames and streams -----------------------------------------------------------------------


def beside_cells(paper: Paper, result: Result) -> None:
    """Write what else than cells was measured, if anything."""
    if result.frames:
        _frames(paper, result.frames)
    if result.streams:
        _streams(paper, result.streams)
    if result.talks:
        _talks(paper, result.talks)
    if result.rated:
        _rated(paper, result.rated)


def _frames(paper: Paper, compared: Sequence[ComparedFrame]) -> None:
    """Write how many raw frames arrived, and each that did so against the intents."""
    arrived = sum(bool(one.arrived) for one in compared)
    paper.heading(f"Raw frames: {len(compared)} sent, {arrived} arrived")
    for one in (one for one in compared if not one.as_intended):
        where = ", ".join(one.arrived) or "nowhere"
        text = f"  NOT AS INTENDED: {one.forged.title}: arrived {where}, not {one.expected or 'nowhere'}: {one.why}"
        paper.line(paper.painted(RED, text))


def _streams(paper: Paper, results: Sequence[StreamResult]) -> None:
    """Write what became of each stream."""
    paper.heading("Streams of datagrams during the changes")
    for one in results:
        what = f"{one.cell.source} {paper.arrow} {one.cell.destination} {one.cell.probe}"
        text = f"  {what:<34} {one.expected:<9} sent {one.sent:>5}, lost {one.lost:>5}, arrived {one.leaked:>5}"
        paper.line(text if one.as_intended else paper.painted(RED, text + "   NOT AS INTENDED"))


def _talks(paper: Paper, results: Sequence[TalkResult]) -> None:
    """Write what became of each connection that was open during a move."""
    paper.heading(
        "Open connections over moves: the side that did not open speaks, then the one that did, then the other"
    )
    for one in results:
        heard = ("dropped", "heard")
        text = f"  {one.title:<60} {heard[one.other_first]}, {heard[one.opener]}, {heard[one.other]}"
        paper.line(text if one.as_intended else paper.painted(RED, text + "   NOT AS INTENDED"))


def _rated(paper: Paper, results: Sequence[Rated]) -> None:
    """Write how fast each transfer was, and what mirrors got of it."""
    paper.heading("Transfers: megabits a second, and packets that mirrors got")
    for one in results:
        rate = f"{one.measured / MEGA:>8.1f} of {one.allowed / MEGA:.1f} in queue {one.queue}"
        rate = rate if one.queue else f"{one.measured / MEGA:>8.1f} in no queue"
        text = f"  {one.title:<64} {rate}, {one.copied} to {one.mirror or 'no mirror'}"
        paper.line(text if one.as_intended else paper.painted(RED, text + "   NOT AS INTENDED"))

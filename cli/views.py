"""`ringfence status`, `endpoints`, `switches` and `revisions`: what the controller knows, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.diffs import diff
from cli.exits import Exit, Failure
from cli.terminal import BOLD, DIM, GREEN, RED, YELLOW, emit_json, paint, painted, printable, say, table
from cli.waiting import is_realized, until_realized

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from cli.answer import Answer, Json
    from cli.client import Client

PHASE_STYLES = {"realized": GREEN, "pending": YELLOW, "failed": RED}
IMPLICIT = "ringfence/"
"""Prefix of the labels that every endpoint has; other columns show them."""
PAGE = 200
"""Most revisions that one answer may hold."""


def status(client: Client, args: argparse.Namespace) -> Exit:
    """Show how far the switches are with each document."""
    answer = until_realized(client, args.timeout) if args.wait else client.get("/v1/status")
    if args.json:
        emit_json(answer.value)
    else:
        _print_status(answer)
    return Exit.OK if is_realized(answer.part("realized")) else Exit.NEGATIVE


def _print_status(answer: Answer) -> None:
    revision, endpoints = answer.number("revision"), answer.number("endpoints", 0)
    say(f"revision {revision}: {progress(answer.part('realized'))}; {endpoints} endpoints")
    intents = answer.items("intents")
    rows = [
        (i.text("kind"), i.text("name"), str(i.number("revision")), _phase(i), _count(i), _reason(i)) for i in intents
    ]
    if rows:
        say()
        print_table(("KIND", "NAME", "REVISION", "STATE", "SWITCHES", "REASON"), rows)
    _print_reports(answer)


def _reason(intent: Answer) -> str:
    """Say why a document is not realized, or why it decides nothing though it is."""
    note = "" if intent.flag("inForce", default=True) else f"not in force: {intent.text('note', '')}"
    return "; ".join(filter(None, (intent.text("reason", ""), note)))


def progress(realized: Answer) -> str:
    """Say in words how far the switches are."""
    phase, reason = realized.text("phase"), realized.text("reason", "")
    words = f"{paint(printable(phase), PHASE_STYLES.get(phase, BOLD))} on {_count(realized)} switches"
    return f"{words} ({printable(reason)})" if reason else words


def _phase(realized: Answer) -> str:
    phase = realized.text("phase")
    return painted(phase, PHASE_STYLES.get(phase, ""))


def _count(realized: Answer) -> str:
    return f"{realized.number('realized')}/{realized.number('switches')}"


def endpoints(client: Client, args: argparse.Namespace) -> Exit:
    """Show what is plugged in and identified, and what is wrong with the rest."""
    answer = client.get("/v1/live/endpoints", in_network(args))
    if args.json:
        emit_json(answer.value)
        return Exit.OK
    rows = [_endpoint(e) for e in answer.items("items")]
    print_table(("NAME", "NETWORK", "ADDRESSES", "MAC", "WHERE", "LABELS"), rows)
    _print_reports(answer)
    return Exit.OK


def in_network(args: argparse.Namespace) -> dict[str, str]:
    """Return the query that narrows an answer to one network, if one was named."""
    return {"network": args.network} if args.network else {}


def _endpoint(e: Answer) -> tuple[str, ...]:
    location = e.part("location")
    where = f"{location.text('dpid')}/{location.text('interface')}"
    labels = ",".join(f"{key}={value}" for key, value in e.pairs("labels").items() if not key.startswith(IMPLICIT))
    addresses = ",".join(e.texts("addresses")) or painted("none yet", YELLOW)
    return e.text("name"), e.text("network"), addresses, e.text("mac"), where, labels


def _print_reports(answer: Answer) -> None:
    reports = answer.items("reports")
    if reports:
        say()
        say(paint("TO LOOK AT", BOLD))
    for report in reports:
        say(f"{paint(printable(report.text('subject')), YELLOW)}: {printable(report.text('problem'))}")
        say(f"  {printable(report.text('remedy', ''))}")


def switches(client: Client, args: argparse.Namespace) -> Exit:
    """Show the switches and how far each is."""
    answer = client.get("/v1/switches")
    if args.json:
        emit_json(answer.value)
        return Exit.OK
    rows = [_switch(s) for s in answer.items("items")]
    print_table(("DATAPATH", "BRIDGE", "HOST", "STATE", "REVISION", "FLOWS", "PROBLEM"), rows)
    return Exit.OK


def _switch(s: Answer) -> tuple[str, ...]:
    state = painted("connected", GREEN) if s.flag("connected") else painted("away", RED)
    revision, flows = (str(s.number(key)) if s.has(key) else "-" for key in ("revision", "flows"))
    return s.text("dpid"), s.text("bridge"), s.text("host", ""), state, revision, flows, s.text("problem", "")


def revisions(client: Client, args: argparse.Namespace) -> Exit:
    """Show the newest revisions: who changed what, when and why; or all of one."""
    if args.number:
        return _one_revision(client, args)
    found = _newest(client, args.limit)
    if args.json:
        values: list[Json] = [revision.value for revision in found]
        emit_json(values)
        return Exit.OK
    rows = [
        (str(r.number("number")), r.text("at"), r.text("author", ""), changes_of(r), r.text("message", ""))
        for r in found
    ]
    print_table(("REVISION", "AT", "AUTHOR", "CHANGES", "MESSAGE"), rows)
    return Exit.OK


def _one_revision(client: Client, args: argparse.Namespace) -> Exit:
    found = client.get("/v1/revisions", {"before": str(args.number + 1), "limit": "1"}).items("items")
    if not found or found[0].number("number") != args.number:
        raise Failure(Exit.NOT_FOUND, f"there is no revision {args.number}", "`ringfence revisions` shows the newest")
    (revision,) = found
    if args.json:
        emit_json(revision.value)
        return Exit.OK
    who, why = revision.text("author", "") or "nobody said who", revision.text("message", "")
    say(printable(f"revision {args.number}, {revision.text('at')}, {who}{': ' if why else ''}{why}"))
    for change in revision.items("changes"):
        say()
        say(paint(printable(f"{_sign(change)}{change.text('kind')}/{change.text('name')}"), BOLD))
        for line in diff(change):
            say(f"  {line}")
    return Exit.OK


def _newest(client: Client, limit: int) -> list[Answer]:
    found: list[Answer] = []
    query: dict[str, str] = {}
    while len(found) < limit:
        answer = client.get("/v1/revisions", {"limit": str(min(limit - len(found), PAGE)), **query})
        items = answer.items("items")
        found += items
        if not items or not answer.has("before"):
            break
        query = {"before": str(answer.number("before"))}
    return found[:limit]


def changes_of(revision: Answer) -> str:
    """Return which documents a revision put (+), changed (~) and deleted (-)."""
    return " ".join(f"{_sign(c)}{c.text('kind')}/{c.text('name')}" for c in revision.items("changes"))


def _sign(change: Answer) -> str:
    if not change.has("before"):
        return "+"
    return "~" if change.has("after") else "-"


def print_table(heads: tuple[str, ...], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, or say that it is empty."""
    for line in table(heads, rows):
        say(line)
    if not rows:
        say(paint("(none)", DIM))

"""`ringfence why`: everything the controller knows about a connection that does not come about, on one page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from cli.answer import Answer
from cli.client import segment
from cli.exits import Exit, Failure
from cli.picture import age
from cli.terminal import GREEN, RED, YELLOW, emit_json, paint, painted, printable, say
from cli.verdicts import print_verdict
from cli.views import IMPLICIT, changes_of, in_network, print_table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from cli.answer import Json
    from cli.client import Client

RECENT = 5
"""Revisions that are shown: what was changed last is what people suspect first."""
MAX_REASONS = 4
"""Reasons that are shown of an endpoint: those of most packets."""
GUARDS = {
    "guard source": "from a MAC or address that is not its own: compare both inside the workload with `ringfence"
    " endpoints` (its link-local IPv6, fe80::, is counted here too: harmless)",
    "guard destination": "to a MAC and address that nobody in its network has: is the peer plugged in?",
    "guard arp": "ARP for an address that nobody has, or in another's name",
    "guard neighbour": "a neighbour solicitation for an address that nobody has, or in another's name",
    "guard invalid": "conntrack knows no such connection: was one side restarted in the midst of it?",
    "guard changed hands": "of a connection of an attachment that is gone: open it anew",
    "guard tunnel": "out of a tunnel, from no endpoint of that host: `ringfence topology` on both hosts",
    "guard link": "from another switch, and nobody's: `ringfence topology`",
}
"""What a guard's drops mean to whom they hit. The rest drop what no connection that policy could allow consists of."""


class Finding(NamedTuple):
    """Something that stands in the way, or may."""

    certain: bool
    """Whether it stops the connection by itself; else it is worth a look."""
    what: str
    remedy: str


class Known(NamedTuple):
    """What the controller was asked, as it answered."""

    verdict: Answer
    ends: Sequence[Answer]
    """Those of the two that are endpoints, as the topology has them."""
    counters: Mapping[str, Answer]
    switches: Sequence[Answer]
    """Those that the ends are plugged into."""
    status: Answer
    revisions: Sequence[Answer]


def why(client: Client, args: argparse.Namespace) -> Exit:
    """Say whether a connection is allowed, and what else may stop it."""
    known = _ask(client, args)
    findings = list(_findings(known))
    if args.json:
        emit_json(_as_json(known, findings))
    else:
        _print(known, findings, args)
    return Exit.NEGATIVE if any(finding.certain for finding in findings) else Exit.OK


def _ask(client: Client, args: argparse.Namespace) -> Known:
    query = {"from": args.source, "to": args.destination, "service": args.service, **in_network(args)}
    status = client.get("/v1/status")
    try:
        verdict = client.get("/v1/verdict", query)
    except Failure as failure:
        raise _with_reports(failure, status) from failure
    parties = {
        opening.part(end).text("endpoint", "") for opening in verdict.items("openings") for end in ("from", "to")
    }
    topology = client.get("/v1/topology")
    ends = [e for e in topology.items("endpoints") if e.text("name") in {*parties, args.source, args.destination}]
    counters = {name: _counters(client, name) for name in (end.text("name") for end in ends)}
    dpids = {end.text("dpid", "") for end in ends}
    switches = [s for s in client.get("/v1/switches").items("items") if s.text("dpid") in dpids]
    revisions = client.get("/v1/revisions", {"limit": str(RECENT)}).items("items")
    return Known(verdict, ends, counters, switches, status, revisions)


def _counters(client: Client, name: str) -> Answer:
    """Return what an endpoint sent and received; nothing where nothing is known yet."""
    path = f"/v1/endpoints/{segment(name)}/counters"
    try:
        return client.get(path)
    except Failure as failure:
        if failure.code is not Exit.NOT_FOUND:
            raise
        return Answer({}, path)


def _with_reports(failure: Failure, status: Answer) -> Failure:
    """Add what the controller complains of: who is not live is often denied for one of these reasons."""
    reports = [f"{r.text('subject')}: {r.text('problem')} ({r.text('remedy', '')})" for r in status.items("reports")]
    if failure.code is not Exit.REFUSED or not reports:
        return failure
    told = "the controller also reports: " + "; ".join(reports[:RECENT])
    return Failure(failure.code, failure.message, told, failure.problems)


# -- what stands in the way -----------------------------------------------------------------------


def _findings(known: Known) -> Iterator[Finding]:
    yield from _of_policy(known)
    for end in known.ends:
        yield from _of_end(end)
    for switch in known.switches:
        yield from _of_switch(switch, known.status.number("revision"))
    for report in known.status.items("reports"):
        if any(_is_about(report.text("subject"), end) for end in known.ends):
            yield Finding(False, f"{report.text('subject')}: {report.text('problem')}", report.text("remedy", ""))
    yield from _of_drops(known, datetime.now(UTC))


def _of_policy(known: Known) -> Iterator[Finding]:
    if known.verdict.text("verdict") == "allow":
        return
    openings = known.verdict.items("openings")
    policies = sorted({name for opening in openings for name in _deciders(opening)})
    if policies:
        yield Finding(True, f"policy denies it: {', '.join(policies)}", f"see `ringfence get policy {policies[0]}`")
    elif openings:
        near = any(opening.items("nearest") for opening in openings)
        remedy = "see above which rule comes nearest" if near else "apply a policy that allows it: docs/policy.md"
        yield Finding(True, "no rule allows it, and the posture is deny", remedy)
    else:
        yield Finding(True, known.verdict.text("reason", "it is denied"), "see docs/routing.md")


def _deciders(opening: Answer) -> Iterator[str]:
    """Yield the policies that deny an opening."""
    if opening.text("verdict") != "allow":
        ruling = opening.part(opening.text("decidedBy", "") or "egress")
        yield from (rule.text("policy") for rule in ruling.items("rules"))
        yield from ruling.texts("isolatedBy")


def _of_end(end: Answer) -> Iterator[Finding]:
    if end.text("state") != "up":
        where = f"{end.text('interface', '?')} on {end.text('host', '?')}"
        yield Finding(True, f"{end.text('name')} is {end.text('state')}, plugged in at {where}", "look at that port")
    if not end.texts("addresses"):
        yield Finding(True, f"{end.text('name')} has no address yet", "declare its addresses, or let it speak first")


def _of_switch(switch: Answer, revision: int) -> Iterator[Finding]:
    name = f"switch {switch.text('dpid')} ({switch.text('bridge')} on {switch.text('host', '?')})"
    if not switch.flag("connected"):
        yield Finding(
            True, f"{name} is away: it goes on with what it had", "is ovs-vswitchd running, and the way free?"
        )
    elif switch.text("problem", ""):
        yield Finding(True, f"{name}: {switch.text('problem')}", "see `ringfence switches`")
    elif switch.number("revision", 0) < revision:
        yield Finding(True, f"{name} is not yet at revision {revision}", "see `ringfence status --wait`")


def _is_about(subject: str, end: Answer) -> bool:
    """Whether a report is about an end: it names the endpoint or the interface it is plugged in at."""
    words = subject.replace("/", " ").split()
    return end.text("name") in words or end.text("interface", "") in words


def _of_drops(known: Known, now: datetime) -> Iterator[Finding]:
    """Say what of the ends did not pass, by cause; what policy dropped is said already where policy denies."""
    denied = known.verdict.text("verdict") != "allow"
    hit: dict[str, list[str]] = {}
    for name, counted in known.counters.items():
        for reason in counted.items("reasons")[:MAX_REASONS]:
            cause = reason.text("reason")
            if cause.startswith("guard") or not denied:
                whose = "sent by" if reason.text("figure") == "dropped" else "sent to"
                since = age(counted.text("since", ""), now)
                hit.setdefault(cause, []).append(f"{reason.number('packets')} {whose} {name} in {since}")
    for cause, counts in hit.items():
        remedy = GUARDS.get(cause, "of this connection or others: `ringfence top` shows whether it goes on")
        yield Finding(False, f"packets were dropped by {cause}: {', '.join(counts)}", remedy)


# -- output ---------------------------------------------------------------------------------------


def _print(known: Known, findings: Sequence[Finding], args: argparse.Namespace) -> None:
    now = datetime.now(UTC)
    print_verdict(known.verdict, args.source, args.destination, args.service)
    if known.ends:
        say()
        heads = ("ENDPOINT", "STATE", "WHERE", "RX P/S", "TX P/S", "LABELS")
        print_table(heads, [_end(end, known.counters[end.text("name")], now) for end in known.ends])
    say()
    rows = [
        (str(r.number("number")), age(r.text("at"), now), r.text("author", ""), changes_of(r), r.text("message", ""))
        for r in known.revisions
    ]
    print_table(("REVISION", "AGO", "AUTHOR", "CHANGES", "MESSAGE"), rows)
    say()
    for finding in findings:
        sign = paint("STOPS IT", RED) if finding.certain else paint("LOOK AT", YELLOW)
        say(f"{sign}: {printable(finding.what)}")
        say(f"  {printable(finding.remedy)}")
    if not any(finding.certain for finding in findings):
        say(f"{paint('ALLOWED', GREEN)}: policy allows it, and the switches hold what policy says")
        say("  if it still fails: does the server listen, does the workload filter, is the MTU right?")


def _end(end: Answer, counted: Answer, now: datetime) -> tuple[str, ...]:
    state, rates = end.text("state"), counted.part("rates")
    labels = ",".join(f"{k}={v}" for k, v in end.pairs("labels").items() if not k.startswith(IMPLICIT))
    speeds = {name: f"{rate.amount():.1f}" for name, rate in rates.fields()}
    return (
        end.text("name"),
        painted(f"{state} {age(end.text('since'), now)}", GREEN if state == "up" else RED),
        f"{end.text('dpid', '?')}/{end.text('interface', '?')}",
        speeds.get("rxPackets", "-"),
        speeds.get("txPackets", "-"),
        labels,
    )


def _as_json(known: Known, findings: Sequence[Finding]) -> Json:
    return {
        "verdict": known.verdict.value,
        "endpoints": [end.value for end in known.ends],
        "counters": {name: counted.value for name, counted in known.counters.items()},
        "switches": [switch.value for switch in known.switches],
        "revisions": [revision.value for revision in known.revisions],
        "findings": [finding._asdict() for finding in findings],
    }

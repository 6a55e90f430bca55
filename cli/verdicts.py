"""`ringfence verdict` and `ringfence matrix`: who may open connections to whom, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.exits import Exit
from cli.terminal import BOLD, DIM, GREEN, RED, YELLOW, emit_json, paint, printable, say, width
from cli.views import in_network

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from cli.answer import Answer
    from cli.client import Client

MAX_NAME = 30
"""Columns of an endpoint's name in the matrix; longer ones are cut."""
LEGEND_WIDTH = 60
"""Columns below which the legend takes a line a word."""
PLAIN_WIDTH = 100
"""Columns of the matrix where the output is no terminal."""
SIGNS = {
    "allow": ("+", GREEN),
    "deny": ("x", RED),
    "reject": ("r", RED),
    "mixed": ("%", YELLOW),
    "unreachable": (".", DIM),
    "-": (" ", ""),
}
"""What a cell of the matrix shows; the sign differs, so that no colour is needed."""
UNKNOWN = ("?", YELLOW)
STYLES = {"allow": GREEN, "deny": RED, "reject": RED, "mixed": YELLOW}
SAID = {
    "allow": "may open",
    "deny": "may not open",
    "reject": "may not open (and is told so)",
    "mixed": "may open some of",
}

MISSING = {
    "from": "its `from` is",
    "to": "its `to` is",
    "services": "its `services` are",
    "subject": "its policy is about",
    "standing": "its policy decides nothing now:",
    "order": "another decides before it comes to",
}
"""What keeps a rule from allowing, by what differs."""


def verdict(client: Client, args: argparse.Namespace) -> Exit:
    """Say whether a connection is allowed, and why."""
    query = {"from": args.source, "to": args.destination, "service": args.service, **in_network(args)}
    answer = client.get("/v1/verdict", query)
    decision = answer.text("verdict")
    if args.json:
        emit_json(answer.value)
    else:
        _print_verdict(answer, args)
    return Exit.OK if decision == "allow" else Exit.NEGATIVE


def _print_verdict(answer: Answer, args: argparse.Namespace) -> None:
    print_verdict(answer, args.source, args.destination, args.service)


def print_verdict(answer: Answer, source: str, destination: str, service: str) -> None:
    """Print what was decided, and why, once for all openings of which the same is to be said."""
    decision, reason = answer.text("verdict"), answer.text("reason", "")
    said = SAID.get(decision, f"{decision}:")
    sentence = f"{source} {said} {service} to {destination}"
    say(f"{paint(printable(decision), STYLES.get(decision, BOLD))}: {printable(sentence)}")
    if reason:
        say(f"  because {printable(reason)}")
    alike: dict[tuple[str, ...], list[Answer]] = {}
    for opening in answer.items("openings"):
        alike.setdefault((opening.text("service"), *_body(opening)), []).append(opening)
    for (_, *lines), openings in alike.items():
        _print_opening(openings)
        for line in lines:
            say(f"    {printable(line)}")


def _print_opening(openings: Sequence[Answer]) -> None:
    """Print which opening, or which of them, the lines after it are about."""
    first, *others = openings
    decision = first.text("verdict")
    ends = f"{_party(first.part('from'))} to {_party(first.part('to'))}, {first.text('service')}"
    more = [f"{o.part('from').text('address')} to {o.part('to').text('address')}" for o in others]
    ends += f"; the same for {', '.join(more)}" if more else ""
    say(f"  {paint(printable(decision), STYLES.get(decision, BOLD))}: {printable(ends)}")


def _body(opening: Answer) -> Iterator[str]:
    """Yield what is said of an opening, line by line."""
    rulings = {side: _ruling(opening.part(side)) for side in ("egress", "ingress") if opening.has(side)}
    decider = opening.text("decidedBy", "")
    if len(rulings) == len(set(rulings.values())):
        for side, ruling in rulings.items():
            yield f"{side}: {ruling}{' (this decides)' if side == decider else ''}"
    else:
        yield f"egress and ingress: {rulings['egress']}"
    handlings = [_handling(handling) for handling in opening.items("handlings")]
    if handlings:
        yield f"its packets {', or '.join(handlings)}"
    yield from map(near, opening.items("nearest"))
    if opening.text("reason", ""):
        yield opening.text("reason")


def near(rule: Answer) -> str:
    """Say which rule would have allowed it, and what keeps it from that."""
    says, differs = rule.text("says"), rule.text("differs")
    return f"nearest: {_rule(rule)} allows, but {MISSING.get(differs, differs)} {says}"


def _handling(handling: Answer) -> str:
    queue = f"leave by queue {handling.text('queue')}" if handling.has("queue") else "leave as any other"
    return f"{queue}, copied to mirror {handling.text('mirror')}" if handling.has("mirror") else queue


def _party(party: Answer) -> str:
    return f"{party.text('endpoint', 'world')} ({party.text('address')})"


def _ruling(ruling: Answer) -> str:
    action, by = ruling.text("action"), ruling.text("by")
    if by == "posture":
        return f"{action}, the posture of network {ruling.text('network', '?')}: no rule decides"
    if by == "isolation":
        return f"{action}, isolated in tier {ruling.text('tier', '?')} by {', '.join(ruling.texts('isolatedBy'))}"
    band = f"tier {ruling.text('tier', '?')}, order {ruling.number('order', 0)}"
    return f"{action} in {band} by {' and '.join(map(_rule, ruling.items('rules')))}"


def _rule(rule: Answer) -> str:
    owner, description = rule.text("owner", ""), rule.text("description", "")
    context = ", ".join(filter(None, (f"owner {owner}" if owner else "", description)))
    named = f"rule {rule.text('rule')} of policy {rule.text('policy')}"
    return f"{named} ({context})" if context else named


def matrix(client: Client, args: argparse.Namespace) -> Exit:
    """Show for every pair of endpoints whether one may open the service to the other."""
    answer = client.get("/v1/matrix", {"service": args.service, **in_network(args)})
    if args.json:
        emit_json(answer.value)
        return Exit.OK
    names = answer.texts("endpoints")
    rows = [row.value for row in answer.items("verdicts")]
    cells = [[str(cell) for cell in row] if isinstance(row, list) else [] for row in rows]
    say(f"{printable(answer.text('service'))} from row to column, revision {answer.number('revision')}")
    for line in _grid(names, cells):
        say(line)
    say(_legend())
    return Exit.OK


def _grid(names: Sequence[str], cells: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of the matrix, in blocks of as many columns as fit."""
    digits = len(str(len(names)))
    left = digits + 1 + min(MAX_NAME, max(map(len, names), default=0))
    fitting = max(1, ((width() or PLAIN_WIDTH) - left) // (digits + 1))
    for first in range(0, len(names), fitting):
        columns = range(first, min(first + fitting, len(names)))
        yield ""
        yield paint(" " * left + "".join(f" {n + 1:>{digits}}" for n in columns), BOLD)
        for n, (name, row) in enumerate(zip(names, cells, strict=False)):
            heading = f"{n + 1:>{digits}} {printable(name)[:MAX_NAME]}".ljust(left)
            yield (heading + "".join(_cell(row, column, digits) for column in columns)).rstrip()


def _cell(row: Sequence[str], column: int, digits: int) -> str:
    sign, style = SIGNS.get(row[column], UNKNOWN) if column < len(row) else UNKNOWN
    return " " * digits + (paint(sign, style) if style else sign)


def _legend() -> str:
    words = [f"{paint(sign, style)} {word}" for word, (sign, style) in SIGNS.items() if word != "-"]
    between = "\n" if (width() or PLAIN_WIDTH) < LEGEND_WIDTH else "   "
    return "\n" + between.join(words)

"""`ringfence counters` and `observed`: what the switches counted, as tables."""

from __future__ import annotations

import argparse

from cli.answer import Answer
from cli.client import Client
from cli.exits import Exit
from cli.terminal import GREEN, RED, YELLOW, emit_json, painted, printable, say
from cli.views import print_table

ACTIONS = {"allow": GREEN, "deny": RED, "reject": RED, "pass": YELLOW}


def counters(client: Client, args: argparse.Namespace) -> Exit:
    """Show what rules decided, then what was dropped beside them."""
    answer = client.get("/v1/counters")
    if args.json:
        emit_json(answer.value)
        return Exit.OK
    rows = [
        (r.text("policy"), r.text("rule"), _action(r), r.text("direction"), *_sums(r)) for r in answer.items("rules")
    ]
    print_table(("POLICY", "RULE", "ACTION", "DIRECTION", "PACKETS", "BYTES"), rows)
    say("")
    print_table(("DROPPED BY", "PACKETS", "BYTES"), [(d.text("cause"), *_sums(d)) for d in answer.items("drops")])
    return Exit.OK


def observed(client: Client, args: argparse.Namespace) -> Exit:
    """Show what would change were the observed policies enforced."""
    answer = client.get("/v1/observed")
    if args.json:
        emit_json(answer.value)
        return Exit.OK
    names = answer.texts("observing")
    if not names:
        say("no policy is in `observe`: set `mode: observe` on one to see what it would change")
        return Exit.OK
    say(f"observing {printable(', '.join(names))}")
    heads = ("POLICY", "RULE", "NOW", "WOULD BE", "CONNECTIONS", "PACKETS")
    print_table(heads, [_tally(t) for part in ("total", "rules") for t in answer.items(part)])
    return Exit.OK


def _action(rule: Answer) -> str:
    """Return what a rule says, `-` for one that is gone."""
    action = rule.text("action", "-")
    return painted(action, ACTIONS.get(action, ""))


def _sums(counted: Answer) -> tuple[str, str]:
    return str(counted.number("packets")), str(counted.number("bytes"))


def _tally(tally: Answer) -> tuple[str, ...]:
    words = [painted(w, GREEN if w == "allow" else RED) for w in (tally.text("enforced"), tally.text("candidate"))]
    counts = str(tally.number("connections")), str(tally.number("packets"))
    return tally.text("policy", "") or "(all together)", tally.text("rule", ""), *words, *counts

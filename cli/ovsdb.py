"""`ringfence ovsdb`: the hosts, and what is set up on them by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cli.client import segment
from cli.exits import Exit, Failure
from cli.terminal import BOLD, DIM, GREEN, RED, emit_json, paint, painted, printable, say
from cli.views import print_table

if TYPE_CHECKING:
    import argparse

    from cli.answer import Answer, Json
    from cli.client import Client

NAMED = ("ports", "tunnels", "queues", "policing", "mirrors", "managers")
"""Kinds of which a host has any number, each with a name."""
JSON_STARTS = '[{"-0123456789tfn'
"""What a value that is JSON begins with."""


def ovsdb(client: Client, args: argparse.Namespace) -> Exit:
    """List the hosts, or set up or take away one thing on one of them."""
    if args.verb == "hosts":
        return _hosts(client, args)
    if args.verb == "forget":
        return _forget(client, args)
    words = [word for word in (args.kind, *args.words) if word]
    if not words:
        raise Failure(Exit.USAGE, f"{args.verb} what?", f"write `ringfence ovsdb {args.verb} KIND ...`")
    kind = words.pop(0)
    name = _name(kind, words)
    if args.verb == "remove" and words:
        raise Failure(Exit.USAGE, f"{words[0]!r} is too much", "remove takes a kind and a name, no fields")
    body = json.dumps(fields(words)).encode() if args.verb == "set" else None
    path = f"/v1/hosts/{segment(_host(client, args.host))}/{kind}" + (f"/{segment(name)}" if name else "")
    query = {"dry_run": "1"} if args.dry_run else {}
    answer = client.put(path, query, body) if body is not None else client.delete(path, query)
    if args.json:
        emit_json(answer.value)
    else:
        _tell(answer, dry_run=args.dry_run)
    return Exit.OK


def fields(words: list[str]) -> dict[str, Json]:
    """Return what `KEY=VALUE` words say; dots in a key lead deeper, a value that is JSON is read as such.

    Raises:
        Failure: a word is of another form, or contradicts an earlier one.
    """
    found: dict[str, Json] = {}
    for word in words:
        key, equals, text = word.partition("=")
        *way, last = key.split(".")
        if not equals or not all((*way, last)):
            raise Failure(Exit.USAGE, f"{word!r} is no KEY=VALUE", "write for instance remote=flow or vlan.tag=7")
        place = found
        for step in way:
            inner = place.setdefault(step, {})
            if not isinstance(inner, dict):
                raise Failure(Exit.USAGE, f"{word!r}: {step} has a value already", "give it once")
            place = inner
        if last in place:
            raise Failure(Exit.USAGE, f"{word!r}: {last} is given twice", "give it once")
        place[last] = _value(text)
    return found


def _value(text: str) -> Json:
    """Return a value: JSON where it is, else the text itself."""
    if text[:1] and text[0] in JSON_STARTS:
        try:
            value: Json = json.loads(text)
        except ValueError:
            return text
        return value
    return text


def _name(kind: str, words: list[str]) -> str:
    """Take the name from the front of the words, where the kind has one."""
    if kind not in NAMED:
        return ""
    if not words or "=" in words[0]:
        raise Failure(Exit.USAGE, f"{kind} need a name", f"write it after the kind: `ovsdb set {kind} NAME KEY=VALUE`")
    return words.pop(0)


def _host(client: Client, asked: str | None) -> str:
    """Return the id of the host that is meant: the only one, if none was named."""
    known = client.get("/v1/hosts").items("items")
    if asked is None and len(known) == 1:
        return known[0].text("id")
    found = [h.text("id") for h in known if asked in (h.text("host"), h.text("id"))]
    if not found:
        names = ", ".join(printable(h.text("host")) for h in known) or "there are none"
        which = "say which host" if asked is None else f"host {asked!r} is not managed"
        raise Failure(Exit.USAGE, which, f"--host with one of: {names}")
    return found[0]


def _hosts(client: Client, args: argparse.Namespace) -> Exit:
    answer = client.get("/v1/hosts")
    if args.json:
        emit_json(answer.value)
        return Exit.OK
    rows = [
        (
            h.text("host"),
            painted("connected", GREEN) if h.flag("connected") else painted("away", RED),
            "dials in" if h.flag("dialsIn") else "dialled",
            h.text("ovsVersion") or "-",
            h.text("bridge") or "-",
            h.text("problem"),
        )
        for h in answer.items("items")
    ]
    print_table(("HOST", "STATE", "WAY", "OVS", "BRIDGE", "PROBLEM"), rows)
    return Exit.OK


def _forget(client: Client, args: argparse.Namespace) -> Exit:
    if not args.host or args.kind:
        raise Failure(Exit.USAGE, "forget which host?", "write `ringfence ovsdb forget --host NAME`")
    answer = client.delete(f"/v1/hosts/{segment(_host(client, args.host))}", {})
    if args.json:
        emit_json(answer.value)
    else:
        say(f"{printable(answer.text('host'))}: forgotten")
    return Exit.OK


def _tell(answer: Answer, *, dry_run: bool) -> None:
    host = printable(answer.text("host"))
    changes = answer.items("changes")
    if not changes:
        say(paint(f"{host}: nothing to change", DIM))
        return
    say(paint(f"{host}: would change" if dry_run else f"{host}: changed", BOLD))
    for change in changes:
        say(f"  {printable(change.text('text'))}")

"""`ringfence apply`, `import` and `delete`: what changes the documents that the controller holds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from cli import sources
from cli.client import segment
from cli.exits import Exit, Failure
from cli.parser import KINDS, kind_of
from cli.terminal import DIM, GREEN, RED, YELLOW, emit_json, paint, printable, say
from cli.views import in_network, progress
from cli.waiting import SERVER_WAIT_S, is_realized, until_realized

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from cli.answer import Answer, Json
    from cli.client import Client

STYLES = {"created": GREEN, "changed": YELLOW, "deleted": RED, "unchanged": DIM}
USERS_FIRST = ("policies", "groups", "services", "tiers", "endpoints", "networks")
"""Kinds, those that name others before those that are named: in this order each can be deleted."""


IMPORTS = {"k8s": "/v1/import/kubernetes"}
"""Where the objects of each system go."""


def apply(client: Client, args: argparse.Namespace) -> Exit:
    """Send all files as one change-set; say what changed."""
    return _send(client, args, "/v1/apply", {})


def import_(client: Client, args: argparse.Namespace) -> Exit:
    """Send the objects of another system as one change-set; say what changed."""
    return _send(client, args, IMPORTS[args.system], in_network(args))


def _send(client: Client, args: argparse.Namespace, path: str, further: dict[str, str]) -> Exit:
    read, started = sources.read(args.files), time.monotonic()
    query, patience_s = _context(args) | further, 0.0
    if args.dry_run:
        query["dry_run"] = "1"
    elif args.wait:
        patience_s = min(args.timeout, SERVER_WAIT_S)
        query |= {"wait": "realized", "timeout": f"{patience_s:.3f}"}
    try:
        answer = client.post(path, query, read.body, patience_s=patience_s)
    except Failure as failure:
        raise _placed(failure, read) from failure
    if args.json:
        emit_json(answer.value)
    else:
        _print_applied(answer)
    if args.dry_run or not args.wait:
        return Exit.OK
    return _wait_on(client, answer.part("realized"), args.timeout - (time.monotonic() - started), args)


def _wait_on(client: Client, realized: Answer, left_s: float, args: argparse.Namespace) -> Exit:
    """Wait on where the controller's own patience ended before the command's."""
    if realized.text("phase") == "pending" and left_s > 0:
        realized = until_realized(client, left_s).part("realized")
    return _print_progress(realized, args)


def _context(args: argparse.Namespace) -> dict[str, str]:
    """Return who changes it and why, for the revision."""
    import getpass

    try:
        author = args.author or getpass.getuser()
    except (OSError, KeyError):
        author = None  # a user without a name: the controller puts its own word
    given = {"author": author, "message": args.message}
    return {key: value for key, value in given.items() if value}


def _placed(failure: Failure, read: sources.Sources) -> Failure:
    """Say in which file a refused line stands."""
    problems = tuple(
        p if p.line is None else p._replace(path=f"{read.place(p.line)}: {p.path}") for p in failure.problems
    )
    return Failure(failure.code, failure.message, failure.remedy, problems)


def _print_applied(answer: Answer) -> None:
    for result in answer.items("documents"):
        _print_outcome(result.text("kind"), result.text("name"), result.text("outcome"))
    if answer.flag("dryRun"):
        say(f"nothing was changed; it would be revision {answer.number('revision')}")
    else:
        say(f"revision {answer.number('revision')}")


def _print_outcome(kind_: str, name: str, outcome: str) -> None:
    say(f"{printable(kind_)}/{printable(name)} {paint(printable(outcome), *_style(outcome))}")


def _style(outcome: str) -> tuple[str, ...]:
    return (STYLES[outcome],) if outcome in STYLES else ()


def _print_progress(realized: Answer, args: argparse.Namespace) -> Exit:
    if not args.json:
        say(progress(realized))
    return Exit.OK if is_realized(realized) else Exit.NEGATIVE


def delete(client: Client, args: argparse.Namespace) -> Exit:
    """Delete documents one by one, users before what they use; stop at the first that is refused."""
    answers: list[Json] = []
    wanted = _wanted(args)
    try:
        for kinds, name in wanted:
            answers.append(client.delete(f"/v1/{kinds}/{segment(name)}", _context(args)).value)
            if not args.json:
                _print_outcome(kinds, name, "deleted")
    finally:
        if args.json:
            emit_json(answers)
    return _print_progress(until_realized(client, args.timeout).part("realized"), args) if args.wait else Exit.OK


def _wanted(args: argparse.Namespace) -> list[tuple[str, str]]:
    """Return kinds and names of what to delete."""
    if bool(args.kind) == bool(args.files) or bool(args.kind) != bool(args.names):
        raise Failure(Exit.USAGE, "nothing or too much to delete", "give KIND NAME..., or -f FILE")
    if args.kind:
        return [(args.kind, name) for name in args.names]
    return sorted(_named_in(sources.read(args.files)), key=lambda found: USERS_FIRST.index(found[0]))


def _named_in(read: sources.Sources) -> Iterator[tuple[str, str]]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        values = [value for value in yaml.load_all(read.body, Loader=loader) if value is not None]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = read.place(mark.line + 1) if mark else read.names[0]
        raise Failure(Exit.REFUSED, f"{where}: no YAML", "correct the syntax") from error
    flat = [item for value in values for item in (value if isinstance(value, list) else [value])]
    yield from (_name_of(item, n) for n, item in enumerate(flat))


def _name_of(document: object, n: int) -> tuple[str, str]:
    """Return kind (as in paths) and name of a document."""
    found, name = (document.get("kind"), document.get("name")) if isinstance(document, dict) else (None, None)
    kinds = kind_of(found) if isinstance(found, str) else None
    if kinds not in KINDS or not isinstance(name, str):
        raise Failure(Exit.REFUSED, f"documents[{n}] has no kind and name", f"kinds are {', '.join(KINDS)}")
    return kinds, name

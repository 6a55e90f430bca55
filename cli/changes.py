"""`ringfence apply`, `import` and `delete`: what changes the documents that the controller holds."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from cli import sources
from cli.diffs import diff
from cli.exits import Exit, Failure
from cli.terminal import DIM, GREEN, RED, YELLOW, emit_json, note, paint, printable, say
from cli.views import in_network, progress
from cli.waiting import SERVER_WAIT_S, is_realized, until_realized
from cli.words import KIND_OF

if TYPE_CHECKING:
    import argparse

    from cli.answer import Answer
    from cli.client import Client

STYLES = {"created": GREEN, "changed": YELLOW, "deleted": RED, "unchanged": DIM}
IMPORTS = {"k8s": "/v1/import/kubernetes"}
"""Where the objects of each system go."""


def apply(client: Client, args: argparse.Namespace) -> Exit:
    """Send all files as one change-set; say what changed."""
    return _send(client, args, sources.read(args.files), "/v1/apply", {})


def import_(client: Client, args: argparse.Namespace) -> Exit:
    """Send the objects of another system as one change-set; say what changed."""
    return _send(client, args, sources.read(args.files), IMPORTS[args.system], in_network(args))


def delete(client: Client, args: argparse.Namespace) -> Exit:
    """Delete documents as one change-set; say what is gone."""
    further = {"missing": "ignore"} if args.ignore_missing else {}
    return _send(client, args, _named(args), "/v1/delete", further)


def revert(client: Client, args: argparse.Namespace) -> Exit:
    """Take a revision back; say what changed."""
    args.message = args.message or f"revert revision {args.number}"
    return _send(client, args, sources.Sources(b"", (), ()), f"/v1/revisions/{args.number}/revert", {})


def _named(args: argparse.Namespace) -> sources.Sources:
    """Return what names the documents to delete."""
    if bool(args.kind) == bool(args.files) or bool(args.kind) != bool(args.names):
        raise Failure(Exit.USAGE, "nothing or too much to delete", "give KIND NAME..., or -f FILE")
    if args.files:
        return sources.read(args.files)
    documents = [{"kind": KIND_OF[args.kind], "name": name} for name in args.names]
    return sources.Sources(json.dumps(documents).encode(), (), ())


def _send(client: Client, args: argparse.Namespace, read: sources.Sources, path: str, further: dict[str, str]) -> Exit:
    started = time.monotonic()
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
        _print_warnings(answer, read)
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
    problems = tuple(p._replace(path=_path(p.path, p.line, read)) for p in failure.problems)
    return Failure(failure.code, failure.message, failure.remedy, problems)


def _path(path: str, line: int | None, read: sources.Sources) -> str:
    """Put the file before a path; without a line it is known only of what was sent, from one file."""
    if read.names and line is not None:
        return f"{read.place(line)}: {path}"
    return f"{read.names[0]}: {path}" if len(read.names) == 1 and path.startswith("documents") else path


def _print_applied(answer: Answer) -> None:
    documents = answer.items("documents")
    changes = {(change.text("kind"), change.text("name")): change for change in answer.items("changes")}
    for result in documents:
        kind, name, outcome = result.text("kind"), result.text("name"), result.text("outcome")
        _print_outcome(kind, name, outcome)
        if outcome == "changed" and (kind, name) in changes:
            for line in diff(changes[kind, name]):
                say(f"  {line}")
    if not documents:
        say("nothing to do")
    elif answer.flag("dryRun"):
        say(f"nothing was changed; it would be revision {answer.number('revision')}")
    else:
        say(f"revision {answer.number('revision')}")


def _print_warnings(answer: Answer, read: sources.Sources) -> None:
    for warning in answer.items("warnings"):
        path = _path(warning.text("path", ""), warning.number("line", 0) or None, read)
        said = f"{printable(path)}: {printable(warning.text('message'))} ({printable(warning.text('remedy', ''))})"
        note(f"{paint('warning:', YELLOW, stream=sys.stderr)} {said}")


def _print_outcome(kind_: str, name: str, outcome: str) -> None:
    say(f"{printable(kind_)}/{printable(name)} {paint(printable(outcome), *_style(outcome))}")


def _style(outcome: str) -> tuple[str, ...]:
    return (STYLES[outcome],) if outcome in STYLES else ()


def _print_progress(realized: Answer, args: argparse.Namespace) -> Exit:
    if not args.json:
        say(progress(realized))
    return Exit.OK if is_realized(realized) else Exit.NEGATIVE

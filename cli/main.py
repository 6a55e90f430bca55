"""Entry point of `ringfence`: parse, run one command, say how it ended.

Commands are imported when they are run, so that help and completion answer at once.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

from cli.exits import Exit, Failure
from cli.parser import build

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from cli.client import Client


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code (`cli.exits.Exit`)."""
    parser = build()
    try:
        args = parser.parse_args(argv)
        if args.command == "help":
            parser.parse_args([*filter(None, [args.topic]), "--help"])
    except SystemExit as end:
        return int(end.code or 0)
    try:
        code = _command(args)
        sys.stdout.flush()
    except Failure as failure:
        from cli.terminal import explain

        explain(failure, as_json=args.json)
        return int(failure.code)
    except KeyboardInterrupt:
        return int(Exit.INTERRUPTED)
    except BrokenPipeError:
        # Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.PIPE_CLOSED)
    return int(code)


def _command(args: argparse.Namespace) -> Exit:
    if args.command in {"run", "docker-driver"}:
        from cli.run import run

        return run(args)
    if args.command == "completion":
        from cli.completion import completion

        return completion(args)
    return _asking(args.command)(_client(args), args)


def _asking(command: str) -> Callable[[Client, argparse.Namespace], Exit]:
    """Return what runs a command that asks the controller, importing no other."""
    module = {
        "apply": "changes",
        "import": "changes",
        "delete": "changes",
        "revert": "changes",
        "get": "documents",
        "verdict": "verdicts",
        "matrix": "verdicts",
        "counters": "counts",
        "observed": "counts",
        "topology": "picture",
        "events": "following",
        "ovsdb": "ovsdb",
        "leases": "leases",
        "top": "top",
        "why": "why",
    }
    name = "import_" if command == "import" else command  # the word is Python's own
    found: Callable[[Client, argparse.Namespace], Exit] = getattr(
        importlib.import_module(f"cli.{module.get(command, 'views')}"), name
    )
    return found


def _client(args: argparse.Namespace) -> Client:
    from cli.client import Client, Server, is_in_clear
    from cli.terminal import note

    given = Server(
        url=args.server or os.environ.get("RINGFENCE_SERVER") or Server._field_defaults["url"],
        token_file=args.token_file or os.environ.get("RINGFENCE_TOKEN_FILE") or Server._field_defaults["token_file"],
        ca_file=args.ca_file or os.environ.get("RINGFENCE_CA_FILE") or None,
    )
    if is_in_clear(given.url):
        note(f"ringfence: the token goes to {given.url} unencrypted; use https")
    return Client(given)


if __name__ == "__main__":
    sys.exit(main())

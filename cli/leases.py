"""`ringfence leases`: the addresses that the Docker drivers of hosts have, and taking back a lost host's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.client import segment
from cli.exits import Exit, Failure
from cli.terminal import emit_json, printable, say
from cli.views import print_table

if TYPE_CHECKING:
    import argparse

    from cli.client import Client

REST = "they rest ten minutes"


def leases(client: Client, args: argparse.Namespace) -> Exit:
    """List what everybody has, or take back all of one holder."""
    if args.verb == "drop":
        return _drop(client, args)
    if args.name is not None:
        raise Failure(Exit.USAGE, f"{args.name!r} is too much", "list takes no name")
    answer = client.get("/v1/leases")
    if args.json:
        emit_json(answer.value)
        return Exit.OK
    rows = [
        (i.text("holder"), *(",".join(i.texts(key)) or "-" for key in ("blocks", "claims", "resting")))
        for i in answer.items("items")
    ]
    print_table(("HOST", "BLOCKS", "ADDRESSES", "RESTING"), rows)
    return Exit.OK


def _drop(client: Client, args: argparse.Namespace) -> Exit:
    if not args.name:
        raise Failure(Exit.USAGE, "drop the leases of which host?", "write `ringfence leases drop NAME`")
    answer = client.delete(f"/v1/leases/{segment(args.name)}", {})
    if not answer.flag("changed"):
        raise Failure(Exit.NOT_FOUND, f"{printable(args.name)} has no leases", "`ringfence leases` shows who has")
    if args.json:
        emit_json(answer.value)
    else:
        say(f"{printable(answer.text('holder'))}: taken back; {REST}")
    return Exit.OK

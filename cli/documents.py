"""`ringfence get`: documents as the controller holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli import sentences
from cli.client import segment
from cli.exits import Exit, Failure
from cli.terminal import emit_json, note, say
from cli.views import print_table
from cli.words import KINDS

if TYPE_CHECKING:
    import argparse

    from cli.answer import Answer, Json
    from cli.client import Client


def get(client: Client, args: argparse.Namespace) -> Exit:
    """Show one document, all of a kind, or all."""
    found = _fetch(client, args)
    form = args.output or ("json" if args.json else "yaml" if args.name or args.kind == "all" else "table")
    if form == "table":
        _print_table(found, args.kind)
    elif form == "json":
        values: list[Json] = [document.value for document in found]
        emit_json(values[0] if args.name else values)
    else:
        _print_yaml(found)
    return Exit.OK


def _fetch(client: Client, args: argparse.Namespace) -> list[Answer]:
    if args.name and args.kind == "all":
        raise Failure(Exit.USAGE, "all has no NAME", "leave the name out, or say which kind it is of")
    if args.name:
        return [client.get(f"/v1/{args.kind}/{segment(args.name)}").part("document")]
    kinds = KINDS if args.kind == "all" else (args.kind,)
    return [item.part("document") for kind in kinds for item in client.get(f"/v1/{kind}").items("items")]


def _print_yaml(found: list[Answer]) -> None:
    import yaml

    values = [document.value for document in found]
    if values:
        say(yaml.safe_dump_all(values, sort_keys=False, allow_unicode=False, width=100).removesuffix("\n"))


def _print_table(found: list[Answer], kind: str) -> None:
    print_table(sentences.heads(kind), [sentences.row(kind, document) for document in found])
    if kind == "tiers" and not found:
        note("the tiers are the default ones: emergency, security, platform, application, baseline")

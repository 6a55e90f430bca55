"""Documents in words: what a list of them says of each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cli.answer import Answer

SKIPPED = frozenset({"kind", "name"})
"""Fields that stand in columns of their own."""
SIGNS = {"In": "in", "NotIn": "not in", "Exists": "is set", "DoesNotExist": "is not set"}


def heads(kind: str) -> tuple[str, ...]:
    """Return the heads of the columns of a kind of documents."""
    return ("NAME", "TIER", "ORDER", "MODE", "OWNER", "RULES") if kind == "policies" else ("KIND", "NAME", "CONTENT")


def row(kind: str, document: Answer) -> tuple[str, ...]:
    """Return the columns of one document."""
    name = document.text("name", "")
    if kind != "policies":
        return document.text("kind", ""), name, WORDS.get(document.text("kind", ""), _fields)(document)
    tier, order, mode = (
        document.text("tier", "application"),
        document.number("order", 1000),
        document.text("mode", "enforce"),
    )
    return name, tier, str(order), mode, document.text("owner", ""), policy(document)


def policy(document: Answer) -> str:
    """Return what the rules of a policy say."""
    said = [_rule(rule, "everyone", "everyone") for rule in document.items("rules")]
    if document.has("subject"):
        subject = peer(document.part("subject"))
        said += [_rule(rule, "everyone", subject) for rule in document.items("ingress")]
        said += [_rule(rule, subject, "everyone") for rule in document.items("egress")]
        said = said or [f"isolates {subject} ({', '.join(document.texts('directions'))})"]
    return "; ".join(said)


def _rule(rule: Answer, source: str, destination: str) -> str:
    ends = [_listed(rule.items(end), peer) or other for end, other in (("from", source), ("to", destination))]
    services = _listed(rule.items("services"), _service, ", ") or "everything"
    return f"{rule.text('action', '?')} {ends[0]} to {ends[1]}: {services}"


def peer(entry: Answer) -> str:
    """Return whom an entry of `from`, `to` or `members` describes."""
    if entry.has("cidr"):
        holes = ", ".join(entry.texts("except"))
        return f"{entry.text('cidr')} except {holes}" if holes else entry.text("cidr")
    for word in ("group", "endpoint"):
        if entry.has(word):
            return f"{word} {entry.text(word)}"
    if entry.has("world"):
        return "world"
    labels = [f"{key}={value}" for key, value in entry.pairs("labels").items()]
    return " and ".join(labels + [_expression(e) for e in entry.items("expressions")]) or "every endpoint"


def _expression(entry: Answer) -> str:
    values = ", ".join(entry.texts("values"))
    sign = SIGNS.get(entry.text("operator"), entry.text("operator"))
    return f"{entry.text('key')} {sign}{f' ({values})' if values else ''}"


def _service(entry: Answer) -> str:
    return entry.value if isinstance(entry.value, str) else f"service {entry.text('service', '?')}"


def _listed(entries: Sequence[Answer], said: Callable[[Answer], str], between: str = " or ") -> str:
    return between.join(map(said, entries))


def _fields(document: Answer) -> str:
    return " ".join(
        f"{key}={json.dumps(field.value, ensure_ascii=False, separators=(',', ':'))}"
        for key, field in document.fields()
        if key not in SKIPPED
    )


WORDS: dict[str, Callable[[Answer], str]] = {
    "Policy": policy,
    "Group": lambda document: _listed(document.items("members"), peer),
    "Service": lambda document: _listed(document.items("matches"), _service, ", "),
}
"""How a kind of documents is said; the others by their fields."""

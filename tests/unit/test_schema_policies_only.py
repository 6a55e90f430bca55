"""When only policies change, only they are looked at; what comes out is what looking at everything says."""

from __future__ import annotations

import random

import pytest

from intent.schema import DocumentError, parse_documents, to_intents
from intent.schema.checks import after_policies

BASE = """
{kind: Network, name: shop}
---
{kind: Group, name: web, members: [{labels: {role: web}}]}
---
{kind: Group, name: app, members: [{labels: {role: app}}]}
---
{kind: Service, name: http, matches: [tcp/80]}
"""
GROUPS, SERVICES, TIERS = ("web", "app", "nobody"), ("http", "httq"), ("application", "aplication")


def policy(chance):
    kind = [chance.choice(names) if chance.random() < 0.2 else names[0] for names in (GROUPS, SERVICES, TIERS)]
    rules = [
        f"{{action: allow, from: [{{group: {kind[0]}}}], to: [{{group: app}}], services: [{{service: {kind[1]}}}]}}"
    ]
    return f"{{kind: Policy, name: p{chance.randrange(6)}, tier: {kind[2]}, rules: [{', '.join(rules)}]}}"


def said(function):
    try:
        return function()
    except DocumentError as error:
        return [(problem.path, problem.message, problem.remedy) for problem in error.problems]


@pytest.mark.parametrize("seed", range(8))
def test_looking_at_policies_only_says_what_looking_at_everything_says(seed):
    chance, documents = random.Random(seed), {(d.kind, d.name): d for d in parse_documents(BASE.strip(), source="base")}
    intents = to_intents(documents.values())
    for _ in range(25):
        (new,) = parse_documents(policy(chance), source="new")
        goes = chance.random() < 0.3 and ("Policy", new.name) in documents
        after = {key: d for key, d in documents.items() if key != ("Policy", new.name)}
        if not goes:
            after[new.kind, new.name] = new
        put, gone = ([], [new.name]) if goes else ([new], [])
        expected = said(lambda after=after: to_intents(after.values()))
        found = said(lambda put=put, gone=gone, before=intents: after_policies(before, put, gone))
        assert found == expected
        if not isinstance(expected, list):
            documents, intents = after, found

"""When only endpoints change, only they are looked at; what comes out is what looking at everything says."""

from __future__ import annotations

import dataclasses
import json
import random
from datetime import UTC, datetime

import pytest

from intent.schema import DocumentError, dump_document, parse_documents, to_intents
from intent.schema.changes import Put
from intent.schema.checks import after_endpoints
from intent.schema.holding import Holders
from intent.store import Store

BASE = """
{kind: Network, name: shop, subnets: [10.0.0.0/24], gateways: [10.0.0.1]}
---
{kind: Network, name: bank}
---
{kind: Router, name: r, networks: [shop], mac: "0a:00:00:00:00:05"}
---
{kind: Uplink, name: up, binding: {ifaceId: i9}}
"""
AROUND = ("Network", "Router", "Uplink")
AT = datetime(2026, 1, 1, tzinfo=UTC)


def endpoint(chance):
    network = chance.choice(("shop", "shop", "bank", "nowhere" if chance.random() < 0.2 else "shop"))
    fields = [f"kind: Endpoint, name: e{chance.randrange(6)}, network: {network}"]
    fields.append(f"binding: {{ifaceId: i{chance.randrange(10)}}}")
    fields.append(f"addresses: [10.0.{chance.choice('00001')}.{chance.randrange(1, 12)}]")
    fields.append(f'mac: "0a:00:00:00:00:0{chance.randrange(10)}"')
    return f"{{{', '.join(fields)}}}"


def said(function):
    try:
        return function()
    except DocumentError:
        return None


@pytest.mark.parametrize("seed", range(8))
def test_looking_at_endpoints_only_says_what_looking_at_everything_says(seed):
    chance, documents = random.Random(seed), {(d.kind, d.name): d for d in parse_documents(BASE.strip(), source="base")}
    intents, holders = to_intents(documents.values()), Holders(documents.values())
    right = wrong = 0
    for _ in range(120):
        (new,) = parse_documents(endpoint(chance), source="new")
        key, goes = ("Endpoint", new.name), chance.random() < 0.3
        goes = goes and key in documents
        after = {k: d for k, d in documents.items() if k != key} | ({} if goes else {key: new})
        put, gone = ([], [new.name]) if goes else ([new], [])
        around = [d for d in documents.values() if d.kind in AROUND]
        fits = holders.fit(put, [("Endpoint", name) for name in gone])
        found = after_endpoints(intents, put, gone, around) if fits else None
        assert found == said(lambda after=after: to_intents(after.values()))
        right, wrong = right + (found is not None), wrong + (found is None)
        if found is not None:
            holders.change(documents.get(key), after.get(key))
            documents, intents = after, found
    assert right > 10
    assert wrong > 10


def test_things_that_are_exchanged_in_one_change_are_left_to_who_looks_at_everything():
    one, other = parse_documents(
        "{kind: Endpoint, name: a, binding: {ifaceId: x}}\n---\n{kind: Endpoint, name: b, binding: {ifaceId: y}}",
        source="t",
    )
    swapped = parse_documents(
        "{kind: Endpoint, name: a, binding: {ifaceId: y}}\n---\n{kind: Endpoint, name: b, binding: {ifaceId: x}}",
        source="t",
    )
    holders = Holders((one, other))
    assert not holders.fit(swapped, [])
    assert holders.fit(swapped[:1], [("Endpoint", "b")])
    assert not holders.fit(swapped[:1], [])


@pytest.mark.parametrize("seed", range(4))
def test_a_store_that_looks_at_what_moves_only_says_what_looking_at_everything_says(seed, tmp_path):
    """Most keep what they have; some give to each other what only one may have, which is refused or right."""
    chance, refused = random.Random(seed), 0
    with Store(tmp_path / "store.db") as store:
        base = [Put(document) for document in parse_documents(BASE.strip(), source="base")]
        store.apply(base, author="a", at=AT)
        for _ in range(60):
            held = {stored.document.name: stored.document for stored in store.documents("Endpoint")}
            batch = {d.name: d for _ in range(chance.randrange(1, 4)) for d in _drawn(chance, held)}
            whole = {(s.document.kind, s.document.name): s.document for s in store.documents()}
            wanted = said(lambda: to_intents([*(whole | {(d.kind, d.name): d for d in batch.values()}).values()]))  # noqa: B023 - called here
            try:
                store.apply([Put(document) for document in batch.values()], author="a", at=AT)
            except DocumentError:
                assert wanted is None
                refused += 1
            else:
                assert wanted is not None
                assert dataclasses.replace(store.intents(), revision=0) == wanted
    assert 0 < refused < 60


def _drawn(chance, held):
    """Return an endpoint that is new or moves, or one that has only another label."""
    if held and chance.random() < 0.6:
        values = dump_document(chance.choice(list(held.values()))) | {"labels": {"l": str(chance.randrange(3))}}
        return parse_documents(json.dumps(values), source="new")
    return parse_documents(endpoint(chance), source="new")

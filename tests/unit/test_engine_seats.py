"""One rule more or less changes its own flows alone, also where a priority is full, or one more ends by itself."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from intent.compiler import IdMap, seats
from intent.compiler.engine import Engine
from intent.model import Action, Intents, Network, Policy, PortRange, Rule, Selector, SelectorPeer, ServiceMatch
from topology.model import Endpoint, Inventory, Location
from topology.packet import TCP

EVERYONE = (SelectorPeer(Selector()),)
ENDS = datetime(2030, 1, 1, tzinfo=UTC)
SHARD = 3


def _policy(number, action=Action.ALLOW):
    rule = Rule("r", action, EVERYONE, EVERYONE, (ServiceMatch(TCP, PortRange(number, number)),))
    return Policy(f"p{number}", "application", 1, (rule,))


def _endpoint():
    labels = {"ringfence/name": "a", "ringfence/network": "lan"}
    where = Location(1, 1, "v1", "u1")
    return Endpoint("a", "lan", labels, "02:00:00:00:00:01", (ip_address("10.0.0.1"),), (), where)


@pytest.fixture
def engine(monkeypatch):
    """Return an engine with as many rules of each action as share a priority."""
    monkeypatch.setattr(seats, "SHARD", SHARD)
    numbers = iter(range(1, 100))
    policies = [_policy(next(numbers), action) for action in Action for _ in range(SHARD)]
    made = Engine(IdMap())
    intents = Intents(networks={"lan": Network("lan")}, policies={p.name: p for p in policies})
    made.update(intents, Inventory({"a": _endpoint()}), (1,), 0.0)
    return made


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("ends", [None, ENDS])
def test_it_comes_and_goes_and_no_other_rule_moves(engine, action, ends):
    before = dict(engine.program(1))
    for number in range(100, 112):
        delta = engine.put_policy(dataclasses.replace(_policy(number, action), expires=ends), 1.0).deltas[1]
        assert not delta.deletes
        assert engine.program(1).keys() >= before.keys()
    for number in range(100, 112):
        delta = engine.drop_policy(f"p{number}", 2.0).deltas[1]
        assert not delta.adds
    assert engine.program(1) == before

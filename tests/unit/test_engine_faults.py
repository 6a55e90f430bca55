"""What cannot be compiled changes nothing; once it can, the engine is where it would have been."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from intent.compiler import CompileError, IdMap, OutOfNumbers, allocate, compile_program, spaces
from intent.compiler.engine import Changes, Engine
from intent.compiler.engine import ledger as ledger_module
from intent.model import Intents, Mode, Policy
from tests.property.cases import BASIC, DPID, OTHER_DPID, make_case
from tests.property.choice import Seeded
from topology.model import NAME_LABEL, Endpoint, Inventory

DPIDS = (DPID, OTHER_DPID)


@pytest.fixture
def case():
    cases = (make_case(Seeded(f"faults {seed}"), BASIC) for seed in itertools.count())
    return next(
        c for c in cases if len(c.inventory.endpoints) > 3 and any(p.rules for p in c.intents.policies.values())
    )


def _twin(endpoint: Endpoint) -> Endpoint:
    """Somebody else at the same port, which no inventory holds."""
    labels = {**endpoint.labels, NAME_LABEL: "twin"}
    location = dataclasses.replace(endpoint.location, uid="another row")
    return dataclasses.replace(endpoint, name="twin", labels=labels, location=location)


def _programs(engine):
    return {dpid: dict(engine.program(dpid)) for dpid in engine.dpids}


def _expected(intents, inventory, id_map):
    return {dpid: compile_program(intents, inventory, dpid, id_map) for dpid in DPIDS}


def test_two_flows_for_one_match_are_refused_and_nothing_changed(case):
    engine = Engine(IdMap())
    engine.update(case.intents, case.inventory, DPIDS, 1)
    numbers, programs = engine.ids(), _programs(engine)
    local = next(e for e in case.inventory.endpoints.values() if e.location.dpid == DPID)
    with pytest.raises(CompileError, match="two flows for one match"):
        engine.join(_twin(local), 2)
    assert engine.ids() == numbers
    assert {dpid: dict(engine.program(dpid)) for dpid in DPIDS} == programs
    update = engine.leave("twin", 3)
    assert update.whole == set(DPIDS), "it began anew, so there is nothing a delta could be taken to"
    assert (engine.ids(), _programs(engine)) == (numbers, programs)


def test_numbers_that_run_out_are_refused_and_nothing_changed(case, monkeypatch):
    engine = Engine(IdMap())
    engine.update(case.intents, case.inventory, DPIDS, 1)
    numbers, programs = engine.ids(), _programs(engine)
    used = len(numbers.spaces["rule"].live)
    monkeypatch.setitem(spaces.LIMITS, "rule", used)
    monkeypatch.setitem(ledger_module.LIMITS, "rule", used)
    engine = Engine(numbers)
    engine.update(case.intents, case.inventory, DPIDS, 2)
    policy = next(p for p in case.intents.policies.values() if p.rules)
    other = dataclasses.replace(policy, name="other")
    with pytest.raises(OutOfNumbers, match="rule: all"):
        engine.put_policy(other, 3)
    assert (engine.ids(), _programs(engine)) == (numbers, programs)
    engine.drop_policy("other", 4)
    assert (engine.ids(), _programs(engine)) == (numbers, programs)


def test_a_network_that_is_not_there_is_an_error_and_nothing_changed(case):
    engine = Engine(IdMap())
    engine.update(case.intents, case.inventory, DPIDS, 1)
    numbers, programs = engine.ids(), _programs(engine)
    name = next(iter(case.inventory.endpoints.values())).network
    with pytest.raises(KeyError):
        engine.change(Changes(networks={name: None}), 2)
    assert (engine.ids(), _programs(engine)) == (numbers, programs)
    engine.change(Changes(networks={name: case.intents.networks[name]}), 3)
    assert (engine.ids(), _programs(engine)) == (numbers, programs)


def test_switches_come_and_go(case):
    engine = Engine(IdMap())
    engine.update(case.intents, case.inventory, (DPID,), 1)
    id_map = allocate(case.intents, case.inventory, IdMap(), 1)
    assert engine.ids() == id_map
    assert engine.update(case.intents, case.inventory, DPIDS, 2).whole == {OTHER_DPID}
    assert _programs(engine) == _expected(case.intents, case.inventory, id_map)
    assert not engine.update(case.intents, case.inventory, (OTHER_DPID,), 3)
    assert engine.dpids == {OTHER_DPID}
    with pytest.raises(KeyError):
        engine.program(DPID)


def test_what_is_equal_is_no_change(case):
    engine = Engine(IdMap())
    engine.update(case.intents, case.inventory, DPIDS, 1)
    copies = {name: dataclasses.replace(e) for name, e in case.inventory.endpoints.items()}
    policies = {name: dataclasses.replace(p) for name, p in case.intents.policies.items()}
    intents = dataclasses.replace(case.intents, policies=policies)
    assert not engine.update(intents, dataclasses.replace(case.inventory, endpoints=copies), DPIDS, 2)


def test_a_policy_that_is_off_is_not_there():
    engine = Engine(IdMap())
    engine.update(Intents(), Inventory(), (DPID,), 1)
    policy = Policy("p", "application", 1, (), mode=Mode.OFF)
    assert not engine.put_policy(policy, 2)

"""The great property: a compiled program does with every packet what the semantics says.

Frames of both directions run through the interpreter with a modelled conntrack while policies, labels,
plugs and addresses change; after each change the table reached by diff equals a fresh compile.
"""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intent.clockwork import effective
from intent.compiler import IdMap, allocate, compile_program, seats
from intent.compiler.flow import Conjunction, Goto
from intent.compiler.tables import STAGES, Table, table_name
from tests.property.cases import BASIC, EVERYTHING, NOW, OFFSETS, Case, Features, change_case, make_case
from tests.property.choice import Drawn, Seeded
from tests.property.frames import make_frames, reply_to
from tests.property.routed_frames import error_frame, routed_errors
from tests.property.strategies import cases
from tests.property.world import Switch
from topology.packet import Frame, Opening, Outcome

SEEDS = 600
SLICE = 50
WHOLE = EVERYTHING
FEATURES = (BASIC, WHOLE)


def _play(choice: Drawn | Seeded, features: Features, *, steps: int, frames: int) -> int:
    """Send frames, their replies and errors about them; change something; again."""
    switch = Switch(make_case(choice, features))
    delivered = 0
    for _ in range(steps):
        for frame in make_frames(choice, switch.case, frames):
            verdict = switch.check(frame)
            if verdict.fate.outcome is Outcome.DELIVER:
                delivered += 1
                switch.check(reply_to(switch.case, frame))
        _errors(switch)
        switch.follow(change_case(choice, switch.case))
        _errors(switch)
    return delivered


def _errors(switch: Switch) -> None:
    """An ICMP error from either end about each open connection passes as the connection itself would."""
    for _, opening in list(switch.conntrack.entries):
        for frame in _error_frames(switch.case, opening):
            switch.check(frame, quoted=opening)


def _error_frames(case: Case, opening: Opening) -> list[Frame]:
    if case.intents.routers:
        return routed_errors(case, opening)
    by_address = {a: e for e in case.inventory.on_switch(case.dpid) for a in e.addresses}
    ends = [(by_address.get(a), a) for a in (opening.src, opening.dst)]
    found = []
    for (sender, src), (receiver, dst) in (ends, ends[::-1]):
        if sender is not None and receiver is not None:
            entry = case.dpid, sender.location.ofport
            found.append(error_frame(entry, (sender.mac, receiver.mac), (src, dst)))
    return found


@pytest.mark.parametrize("first", range(0, SEEDS, SLICE))
def test_program_and_semantics_agree_on_seeded_cases(first: int) -> None:
    """Fast and many: the same cases in every run."""
    delivered = 0
    for seed in range(first, first + SLICE):
        delivered += _play(Seeded(f"agree {seed}"), FEATURES[seed % 2], steps=3, frames=12)
    assert delivered > SLICE // 10, "the cases say nothing if nothing is ever delivered"


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_split_bands_decide_as_whole_ones(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same cases with so small a shard that most bands are split over several priorities."""
    monkeypatch.setattr(seats, "SHARD", 1)
    for seed in range(first, first + 20):
        _play(Seeded(f"agree {seed}"), FEATURES[seed % 2], steps=3, frames=12)


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_program_and_semantics_agree_on_drawn_cases(data: st.DataObject) -> None:
    """Slower, but a disagreement shrinks to its core."""
    _play(Drawn(data.draw), WHOLE, steps=2, frames=5)


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(cases(WHOLE))
def test_every_flow_keeps_to_the_declared_pipeline(case: Case) -> None:
    """Gotos lead forward along declared edges; conjunctions are whole, bounded and never beside a plain flow."""
    ids = allocate(case.intents, case.inventory, IdMap(), 0)
    program = compile_program(case.intents, case.inventory, case.dpid, ids)
    kinds: dict[tuple[int, int], set[bool]] = {}
    for key, body in program.items():
        for act in body.actions:
            if isinstance(act, Goto):
                assert act.table > key.table
                if key.table in {int(t) for t in Table}:
                    here = Table(key.table)
                    assert table_name(act.table).split("_tier_")[0] in {n.name.lower() for n in STAGES[here].next} | {
                        here.name.lower()
                    }
        is_clause = any(isinstance(a, Conjunction) for a in body.actions)
        assert all(isinstance(a, Conjunction) == is_clause for a in body.actions)
        is_decision = any(t.field.name == "conj_id" for t in key.match)
        if is_clause or not is_decision:
            kinds.setdefault((key.table, key.priority), set()).add(is_clause)
    assert all(len(mixed) == 1 for mixed in kinds.values())


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(cases(WHOLE))
def test_given_the_id_map_the_table_is_the_same_whatever_order_things_are_named_in(case: Case) -> None:
    ids = allocate(case.intents, case.inventory, IdMap(), 0)
    program = compile_program(case.intents, case.inventory, case.dpid, ids)
    intents = dataclasses.replace(
        case.intents,
        policies=dict(reversed(case.intents.policies.items())),
        groups=dict(reversed(case.intents.groups.items())),
        networks=dict(reversed(case.intents.networks.items())),
    )
    inventory = dataclasses.replace(case.inventory, endpoints=dict(reversed(case.inventory.endpoints.items())))
    assert allocate(intents, inventory, IdMap(), 0) == ids
    again = compile_program(intents, inventory, case.dpid, ids)
    assert again == program


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(cases(WHOLE))
def test_a_flow_that_ends_by_itself_shares_its_priority_with_no_other_rule(case: Case) -> None:
    """Only an allow ends by itself, whole: its clauses and its decision, all at the policy's expiry."""
    intents = effective(case.intents, NOW, OFFSETS)
    ids = allocate(intents, case.inventory, IdMap(), 0)
    by_priority: dict[tuple[int, int], set[int]] = {}
    for key, body in compile_program(intents, case.inventory, case.dpid, ids).items():
        by_priority.setdefault((key.table, key.priority), set()).add(body.expires_at)
        if body.expires_at:
            assert any(p.expires and int(p.expires.timestamp()) == body.expires_at for p in intents.policies.values())
            numbers = {a.id for a in body.actions if isinstance(a, Conjunction)}
            rules = {k.split("#")[0] for n in numbers if (k := ids.key_of("conjunction", n))}
            assert len(rules) <= 1
    assert all(len(ends) == 1 for ends in by_priority.values())

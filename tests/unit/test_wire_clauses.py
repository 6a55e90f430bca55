"""Flows that are clauses of conjunctions are written many at once, whatever number of them each has."""

from __future__ import annotations

import random

import pytest

from intent.compiler import fields as f
from intent.compiler.flow import Actions, Conjunction, Flow, FlowBody, FlowKey, Goto, exact
from ryu_apps import frames, wire
from ryu_apps.wire import Command, WireError
from ryu_apps.wire.stencil import FEWEST


def flows(bodies: list[Actions]) -> list[Flow]:
    """A flow of each body in the tables of both directions, as the compiler makes them: one value for two."""
    return [
        Flow(FlowKey(table, n % 7, (exact(f.REG[1], n),)), FlowBody(body, 5 + n % 2, n % 3))
        for n, body in enumerate(bodies)
        for table in (8, 9)
    ]


@pytest.mark.parametrize("of", [(3,), (2, 3)])
def test_clauses_are_the_bytes_of_each_flow(of: tuple[int, ...]) -> None:
    chance = random.Random(5)
    sizes = [*range(1, 40), *[chance.randrange(1, 20) for _ in range(2000)]]
    bodies = [tuple(Conjunction(chance.getrandbits(32), 2, chance.choice(of)) for _ in range(n)) for n in sizes]
    changes = [(Command.ADD, flow) for flow in flows(bodies)]
    changes += [(Command.DELETE_STRICT, flow) for _, flow in changes[:FEWEST]]
    found = frames.split(bytearray(b"".join(wire.bundle_flow_mods(9, 77, changes, wire.ATOMIC_ORDERED))), len(changes))
    wanted = [
        wire.bundle_add(xid, 9, wire.encode_flow_mod(flow, command, xid))
        for xid, (command, flow) in enumerate(changes, 77)
    ]
    assert sorted(found, key=lambda message: message[4:8]) == wanted


def test_few_clauses_of_each_kind_are_the_bytes_of_each_flow() -> None:
    """A policy that comes: none of its kinds is many, all of them together are."""
    chance = random.Random(6)
    changes = []
    for table in range(8, 8 + FEWEST):
        number = 1 + table % 3
        bodies = [tuple(Conjunction(chance.getrandbits(32), number, 3) for _ in range(n)) for n in (1, 20, 60)]
        for n, body in enumerate(bodies):
            changes += [
                (Command.ADD, Flow(FlowKey(at, 3, (exact(f.REG[n], 7),)), FlowBody(body, 5))) for at in (table, 99)
            ]
    for count in (1, FEWEST - 1, FEWEST, len(changes)):
        some = changes[:count]
        found = frames.split(bytearray(b"".join(wire.bundle_flow_mods(9, 7, some, wire.ATOMIC_ORDERED))), count)
        wanted = [
            wire.bundle_add(xid, 9, wire.encode_flow_mod(flow, command, xid))
            for xid, (command, flow) in enumerate(some, 7)
        ]
        assert sorted(found, key=lambda message: message[4:8]) == wanted


@pytest.mark.parametrize(
    "wrong",
    [
        (Conjunction(1, 4, 3),),
        (Conjunction(1 << 32, 1, 3),),
        (Conjunction(1, 1, 3), Goto(3)),
        tuple(Conjunction(n, 1, 3) for n in range(5000)),
    ],
    ids=["no such clause", "an id too large", "something beside clauses", "more than a message holds"],
)
def test_what_is_wrong_with_one_of_many_clauses_is_said(wrong: Actions) -> None:
    bodies: list[Actions] = [(Conjunction(n, 1, 3),) for n in range(FEWEST)]
    with pytest.raises(WireError) as alone:
        wire.encode_flow_mod(flows([wrong])[0], Command.ADD, 1)
    changes = [(Command.ADD, flow) for flow in flows([*bodies, wrong])]
    with pytest.raises(WireError) as among_many:
        list(wire.bundle_flow_mods(1, 1, changes, wire.ATOMIC_ORDERED))
    assert str(among_many.value) == str(alone.value)

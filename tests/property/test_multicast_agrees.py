"""Multicast groups over two hosts and over wires: each member gets one copy, or none, as the semantics says of it.

The other property tests send to groups too; here nearly all is sent there, between changes of everything.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest

from intent.clockwork import effective
from intent.compiler import IdMap, compile_program
from intent.compiler import fields as f
from intent.compiler.engine import Engine
from intent.model import Mode, MulticastGroup, Operator, Posture, Requirement, Selector
from tests.property.cases import (
    BASIC,
    DPID,
    GROUPS,
    NOW,
    OFFSETS,
    OTHER_DPID,
    SITE,
    Case,
    change_case,
    make_case,
)
from tests.property.choice import Seeded
from tests.property.copies import goes_to
from tests.property.frames import to_listed_group
from tests.property.histories import make_history
from tests.property.pair import Pair
from tests.property.test_fabric_agree import DPIDS, Site, fabric_of, scattered, wire
from tests.property.world import Switch
from topology.fabric import NO_FABRIC
from topology.model import Tunnel, TunnelKind
from topology.packet import Frame, Outcome

SEEDS = 90
SLICE = 30
WIDE = dataclasses.replace(BASIC, multicast=True, observe=True, reject=True)


@pytest.mark.parametrize("first", range(0, SEEDS, SLICE))
def test_copies_reach_whom_the_semantics_says_over_two_hosts(first: int) -> None:
    copied = crossed = 0
    for seed in range(first, first + SLICE):
        choice = Seeded(f"groups {seed}")
        history = make_history(choice, SITE, steps=3)
        pair = Pair(history[0])
        for case in history:
            pair.follow(case)
            for dpid in (DPID, OTHER_DPID):
                here = dataclasses.replace(case, dpid=dpid)
                for _ in range(12 if case.inventory.on_switch(dpid) else 0):
                    copied += pair.check(to_listed_group(choice, here)).fate.outcome is Outcome.COPY
        crossed += pair.copied
    assert (copied > SLICE, crossed > 2) == (True, True), "the cases say nothing if nothing is ever copied"


def loud(case: Case, rng: random.Random) -> Case:
    """Return the case with more to hear: most are members of each group, and few policies say no."""
    some = Selector((Requirement("app", Operator.EXISTS),))
    everybody = tuple(MulticastGroup(address, rng.choice((Selector(), some))) for address in GROUPS)
    postures = {name: rng.choice((network.posture, Posture.ALLOW)) for name, network in case.intents.networks.items()}
    networks = {
        name: dataclasses.replace(network, multicast=everybody, posture=postures[name])
        for name, network in case.intents.networks.items()
    }
    policies = dict(list(case.intents.policies.items())[: rng.randint(0, 3)])
    intents = dataclasses.replace(case.intents, networks=networks, policies=policies)
    return dataclasses.replace(case, intents=intents)


def groups_of(choice: Seeded, case: Case, count: int) -> Iterator[Frame]:
    """Yield frames to groups from every switch that somebody is plugged into."""
    for dpid in DPIDS:
        here = dataclasses.replace(case, dpid=dpid)
        for _ in range(count if here.inventory.on_switch(dpid) else 0):
            yield to_listed_group(choice, here)


@pytest.mark.parametrize("first", range(0, 32, 16))
def test_copies_reach_whom_the_semantics_says_over_wires(first: int) -> None:
    copied = 0
    for seed in range(first, first + 16):
        rng, choice = random.Random(seed), Seeded(f"wired groups {seed}")
        fabric = fabric_of(wire(rng, rng.randint(6, 11)))
        case = scattered(make_case(choice, WIDE), rng, fabric)
        site = Site(loud(case, rng), rng)
        for _ in range(3):
            for frame in groups_of(choice, site.case, 6):
                site.send(frame)
            site.follow(scattered(change_case(choice, site.case), rng, fabric))
        copied += site.copied
    assert copied > 100, "the cases say nothing if no copy ever crosses a wire"


@pytest.mark.parametrize("first", range(0, 32, 16))
def test_copies_reach_whom_the_semantics_says_over_five_hosts(first: int) -> None:
    """Each host with a member that may hear gets one copy, and gives it to those who may."""
    copied = most = 0
    for seed in range(first, first + 16):
        rng, choice = random.Random(seed), Seeded(f"many hosts {seed}")
        kind = rng.choice(tuple(TunnelKind))
        case = loud(tunnelled(make_case(choice, WIDE), kind), rng)
        switches = {dpid: Switch(dataclasses.replace(case, dpid=dpid)) for dpid in DPIDS}
        for _ in range(3):
            for frame in groups_of(choice, case, 6):
                arrived = carry(switches, frame)
                copied, most = copied + arrived, max(most, arrived)
            case = tunnelled(change_case(choice, case), kind)
            for dpid, switch in switches.items():
                switch.follow(dataclasses.replace(case, dpid=dpid))
    assert (copied > 100, most > 3) == (True, True), "the cases say nothing if no copy ever crosses"


def tunnelled(case: Case, kind: TunnelKind) -> Case:
    """Return the case with its endpoints on five hosts, and tunnels between all."""
    ends = {d: Tunnel(kind, IPv4Address("192.0.2.0") + d, 1, 100 + d, "ring-tun") for d in DPIDS}
    spread = scattered(case, random.Random(), NO_FABRIC)
    return dataclasses.replace(spread, inventory=dataclasses.replace(spread.inventory, tunnels=ends))


def carry(switches: dict[int, Switch], frame: Frame) -> int:
    """Send a frame on its way through all the switches that it comes to; return how many copies came out."""
    near = switches[frame.dpid]
    verdict, result = near.expected(frame), near.actual(frame)
    near.compare(frame, verdict, result)
    ends, arrived = near.case.inventory.tunnels, 0
    for state in result.left if verdict.copies else ():
        target = goes_to(near, state)
        if target is None:
            arrived += 1
            continue
        header = {field: state[field] for field in (f.TUN_ID, f.TUN_OPTION) if field in state}
        landed = dataclasses.replace(frame, dpid=target, in_port=ends[target].ofport)
        far = switches[target]
        got = far.interpreter.run(landed, far.conntrack, None, {f.TUN_SRC: int(ends[frame.dpid].address), **header})
        far.compare(frame, verdict, got)
        arrived += len(got.ports)
    return arrived


@pytest.mark.parametrize("seed", range(12))
def test_an_engine_that_follows_groups_equals_a_compilation_of_everything(seed: int) -> None:
    """Endpoints come and go one by one and all at once; groups change; so do ways and what is observed."""
    rng, choice = random.Random(seed), Seeded(f"group engine {seed}")
    engine, case = Engine(IdMap()), make_case(choice, WIDE)
    for now_s in range(1, 13):
        case = change_case(choice, case) if rng.random() < 0.7 else make_case(choice, WIDE)
        shown = loud(case, rng) if rng.random() < 0.8 else case
        wired = rng.random() < 0.3
        fabric = fabric_of(wire(rng, 5))
        shown = scattered(shown, rng, fabric) if wired else tunnelled(shown, TunnelKind.GENEVE)
        kept = {n: e for n, e in shown.inventory.endpoints.items() if rng.random() < 0.8}
        shown = dataclasses.replace(shown, inventory=dataclasses.replace(shown.inventory, endpoints=kept))
        dpids, intents = DPIDS[: rng.randint(3, 5)], effective(shown.intents, NOW, OFFSETS)
        modes = {name: rng.choice((Mode.ENFORCE, Mode.OBSERVE)) for name in intents.policies}
        turned = {name: dataclasses.replace(p, mode=modes[name]) for name, p in intents.policies.items()}
        fewer = [n for n, e in kept.items() if rng.random() < 0.8 or "app" in e.labels]
        left = dataclasses.replace(shown.inventory, endpoints={n: kept[n] for n in fewer})
        later = dataclasses.replace(intents, policies=turned)
        for said, present in ((intents, shown.inventory), (later, shown.inventory), (later, left)):
            engine.update(said, present, dpids, float(now_s))
            for dpid in engine.dpids:
                assert dict(engine.program(dpid)) == compile_program(said, present, dpid, engine.ids()), (now_s, dpid)

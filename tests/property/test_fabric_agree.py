"""Over any wiring, what one switch sends another delivers or denies as the semantics says; the engine agrees."""

from __future__ import annotations

import dataclasses
import random

import pytest

from intent.clockwork import effective
from intent.compiler import IdMap, allocate, compile_program
from intent.compiler import fields as f
from intent.compiler.cookie import Guard, Kind, Origin, encode
from intent.compiler.engine import Engine
from intent.compiler.fabric import HOPS, wiring
from intent.compiler.flow import IN_PORT, Output
from intent.compiler.interpreter import Result
from intent.semantics import Reason, Verdict
from tests.property.cases import NOW, OFFSETS, Case, change_case, make_case
from tests.property.choice import Seeded
from tests.property.copies import goes_to
from tests.property.frames import make_frames, reply_to
from tests.property.world import Switch
from topology.fabric import Fabric
from topology.packet import Frame, Outcome
from topology.paths import Link, LinkEnd

DPIDS = (1, 2, 3, 4, 5)
LINK_GUARD = encode(Origin(Kind.GUARD, Guard.LINK))
FIRST_LINK_PORT = 1000


def wire(rng: random.Random, count: int) -> frozenset[Link]:
    """Return links between random switches, each with ports of its own."""
    links = set()
    for n in range(count):
        one, other = sorted(rng.sample(DPIDS, 2))
        links.add((LinkEnd(one, FIRST_LINK_PORT + 2 * n), LinkEnd(other, FIRST_LINK_PORT + 2 * n + 1)))
    return frozenset(links)


def fabric_of(links: frozenset[Link]) -> Fabric:
    ports: dict[int, dict[int, str]] = {dpid: {FIRST_LINK_PORT - 1: "idle"} for dpid in DPIDS}
    for pair in links:
        for end in pair:
            ports[end.dpid][end.ofport] = f"l{end.ofport}"
    return Fabric(ports, links)


def scattered(case: Case, rng: random.Random, fabric: Fabric) -> Case:
    """Return the case with its endpoints on all switches, which are wired."""
    endpoints = {
        name: dataclasses.replace(e, location=dataclasses.replace(e.location, dpid=DPIDS[hash_of(name) % len(DPIDS)]))
        for name, e in case.inventory.endpoints.items()
    }
    del rng
    inventory = dataclasses.replace(case.inventory, endpoints=endpoints, fabric=fabric, unaddressed=(), uplinks=())
    return dataclasses.replace(case, inventory=inventory)


def hash_of(name: str) -> int:
    return sum(name.encode())


class Site:
    """Switches in the mind, and the wires between them, some of them dead."""

    def __init__(self, case: Case, rng: random.Random) -> None:
        self.rng = rng
        self.switches = {dpid: Switch(dataclasses.replace(case, dpid=dpid)) for dpid in DPIDS}
        self.case = case
        self.dead: frozenset[Link] = frozenset()
        self.crossed = 0
        self.copied = 0

    def follow(self, case: Case) -> None:
        self.case = case
        for dpid, switch in self.switches.items():
            switch.follow(dataclasses.replace(case, dpid=dpid))

    def check(self, frame: Frame) -> bool:
        """Assert that a frame fares as the semantics says; return whether it was to be delivered."""
        near = self.switches[frame.dpid]
        verdict, result = near.expected(frame), near.actual(frame)
        place = verdict.fate.location
        if verdict.copies:
            return self.copy(frame, verdict, result)
        if verdict.reason is Reason.DHCP:
            return False  # the server's own switch lets it answer whomever; that of the client does not
        if verdict.fate.outcome is not Outcome.DELIVER or place is None or place.dpid == frame.dpid:
            near.compare(frame, verdict, result)
            return verdict.fate.outcome is Outcome.DELIVER
        arrived = self.travel(frame.dpid, result, place.dpid)
        if arrived is None:
            assert self.dead
            return True
        far = self.switches[place.dpid]
        expected = far.expected(frame)
        landed = far.interpreter.run(arrived, far.conntrack)
        far.compare(frame, expected, landed)
        if landed.ports:
            self.crossed += 1
            assert (landed.left[-1][f.ETH_SRC], landed.left[-1][f.ETH_DST]) == tuple(
                int(m.replace(":", ""), 16) for m in (frame.eth_src, frame.eth_dst)
            )
        self.forge(far, arrived)
        return True

    def copy(self, frame: Frame, verdict: Verdict, result: Result) -> bool:
        """Carry what goes to many to each switch that it was sent to, where the members get it as it came."""
        near = self.switches[frame.dpid]
        near.compare(frame, verdict, result)
        for state, act in zip(result.left, result.taken, strict=True):
            target = goes_to(near, state)
            if target is not None:
                ports, group = ([act.port], None) if isinstance(act, Output) else ([], act.id)
                arrived = self.travel(frame.dpid, Result(ports=ports, group=group, left=[state]), target)
                if arrived is None:
                    assert self.dead
                    continue
                far = self.switches[target]
                landed = far.interpreter.run(arrived, far.conntrack)
                far.compare(frame, verdict, landed)
                self.copied += len(landed.ports)
                self.forge(far, arrived)
        return False

    def travel(self, start: int, result: Result, target: int) -> Frame | None:
        """Carry a packet over wires; return it as it comes in at the target, None if it was lost on the way."""
        far_end = {one: other for pair in self.case.inventory.fabric.links for one, other in (pair, pair[::-1])}
        here, came_in = start, 0
        for _ in range(HOPS + 1):
            port = self.choose(here, result, came_in)
            if port is None:
                return None
            end = far_end[LinkEnd(here, port)]
            macs = {name: f"{result.left[-1][field]:012x}" for name, field in (("src", f.ETH_SRC), ("dst", f.ETH_DST))}
            words = {f"eth_{name}": ":".join(m[i : i + 2] for i in range(0, 12, 2)) for name, m in macs.items()}
            frame = dataclasses.replace(self.frame, dpid=end.dpid, in_port=end.ofport, **words)
            if end.dpid == target:
                return frame
            here, came_in = end.dpid, end.ofport
            switch = self.switches[here]
            result = switch.interpreter.run(frame, switch.conntrack)
        return None

    def choose(self, here: int, result: Result, came_in: int) -> int | None:
        """Return the port that a switch takes, any of those that it may."""
        if result.group is None:
            ports = [came_in if port == IN_PORT else port for port in result.ports]
            return ports[0] if ports and self.alive(here, ports[0]) else None
        return self.bucket(here, result.group, came_in)

    def bucket(self, here: int, number: int, came_in: int) -> int | None:
        groups = wiring(self.case.inventory.fabric, here).groups
        spec = groups[number]
        live = []
        for bucket in spec.buckets:
            if bucket.group:
                port = self.bucket(here, bucket.group, came_in)
                live += [port] if port is not None else []
            elif self.alive(here, bucket.watch):
                live.append(came_in if bucket.port == IN_PORT else bucket.port)
        if not live:
            return None
        return self.rng.choice(live) if spec.spread else live[0]

    def alive(self, dpid: int, port: int) -> bool:
        return not any(LinkEnd(dpid, port) in pair for pair in self.dead)

    def forge(self, far: Switch, frame: Frame) -> None:
        """What another switch sends in the name of an endpoint that is not its own ends at the guard."""
        other = frame.eth_src[:4] + format(int(frame.eth_src[4], 16) ^ 1, "x") + frame.eth_src[5:]
        for lie in (
            dataclasses.replace(frame, eth_src=other),
            dataclasses.replace(frame, eth_dst=frame.eth_dst[:-2] + "ff"),
            dataclasses.replace(frame, eth_dst="02:00:00:00:00:01"),
            dataclasses.replace(frame, in_port=FIRST_LINK_PORT - 1),
        ):
            result = far.interpreter.run(lie, far.conntrack)
            assert (result.ports, result.group, result.reason) == ([], None, LINK_GUARD)

    @property
    def frame(self) -> Frame:
        return self._frame

    def send(self, frame: Frame) -> bool:
        self._frame = frame
        return self.check(frame)


@pytest.mark.parametrize("first", range(0, 24, 8))
def test_switches_that_are_wired_and_semantics_agree(first: int) -> None:
    crossed = 0
    for seed in range(first, first + 8):
        rng, choice = random.Random(seed), Seeded(f"fabric {seed}")
        links = wire(rng, rng.randint(3, 9))
        fabric = fabric_of(links)
        case = scattered(make_case(choice), rng, fabric)
        site = Site(case, rng)
        for _ in range(3):
            for dpid in DPIDS:
                here = dataclasses.replace(site.case, dpid=dpid)
                for frame in make_frames(choice, here, 6):
                    if site.send(frame):
                        site.send(reply_to(here, frame))
            site.dead = frozenset(rng.sample(sorted(links), 1)) if rng.random() < 0.5 else frozenset()
            site.follow(scattered(change_case(choice, site.case), rng, fabric))
        crossed += site.crossed
    assert crossed, "the cases say nothing if nothing ever crosses"


@pytest.mark.parametrize("seed", range(12))
def test_an_engine_that_follows_wires_equals_a_compilation_of_everything(seed: int) -> None:
    rng, choice = random.Random(seed), Seeded(f"fabric engine {seed}")
    links: frozenset[Link] = frozenset()
    fabric = fabric_of(links)
    case = scattered(make_case(choice), rng, fabric)
    engine, ids = Engine(IdMap()), IdMap()
    for now_s in range(1, 9):
        intents = effective(case.intents, NOW, OFFSETS)
        engine.update(intents, case.inventory, DPIDS[: rng.randint(3, 5)], float(now_s))
        ids = engine.ids()
        assert allocate(intents, case.inventory, ids, float(now_s)).to_json() == ids.to_json()
        for dpid in engine.dpids:
            assert dict(engine.program(dpid)) == compile_program(intents, case.inventory, dpid, ids), (now_s, dpid)
        what = rng.random()
        if what < 0.6:
            links = wire(rng, rng.randint(0, 6)) if rng.random() < 0.5 else frozenset(list(links)[1:])
            fabric = fabric_of(links)
        changed = change_case(choice, case) if what > 0.4 else case
        case = scattered(changed, rng, fabric)

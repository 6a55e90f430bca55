"""Routers over three hosts: what one switch routes through a tunnel the other judges again, as the semantics says.

Everybody may be in any network of one router on any host, uplinks are on some hosts, some tunnels are missing, hosts
come and go. The engine that follows all that equals a compilation of everything.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from ipaddress import IPv4Address

import pytest

from intent.clockwork import effective
from intent.compiler import IdMap, allocate, compile_program
from intent.compiler import fields as f
from intent.compiler.engine import Engine
from intent.model import Posture, Router
from tests.property.cases import NOW, OFFSETS, SITE, Case, change_case, make_case
from tests.property.choice import Choice, Seeded, subset
from tests.property.frames import make_frames, reply_to
from tests.property.pair import TUNNEL_GUARD, Pair
from tests.property.routed import NEXT_HOP, ROUTER_MACS, WORLD, make_uplinks
from tests.property.routed_frames import make_routed, routed_errors
from topology.model import Tunnel, TunnelKind, UplinkPort
from topology.packet import ETH_IPV4, UDP, Frame, Outcome

DPIDS = (1, 2, 3)
FLAT = dataclasses.replace(SITE, learning=False, unaddressed=False)
_PORTS = {TunnelKind.GENEVE: 6081, TunnelKind.VXLAN: 4789, TunnelKind.GRE: 0}


def _site(choice: Choice, case: Case, *, kind: TunnelKind) -> Case:
    """Return the case with its endpoints on three hosts, tunnels of a kind between most, and one router for most."""
    inventory, networks = case.inventory, tuple(case.intents.networks)
    endpoints = {
        name: dataclasses.replace(e, location=dataclasses.replace(e.location, dpid=DPIDS[sum(name.encode()) % 3]))
        for name, e in inventory.endpoints.items()
    }
    tunnels = {
        dpid: Tunnel(kind, IPv4Address("192.0.2.0") + dpid, _PORTS[kind], 100 + dpid, "ring-tun")
        for dpid in DPIDS
        if choice.chance(92)
    }
    uplinks = tuple(p for p in make_uplinks(choice, DPIDS) if choice.chance(60))
    away = frozenset(subset(choice, [p.location.dpid for p in uplinks], 20))
    joined = case.intents.routers["r0"].networks if "r0" in case.intents.routers else subset(choice, networks, 80)
    routers = {"r0": Router("r0", joined or networks, ROUTER_MACS[0], "up")}
    posture = (Posture.ALLOW,) if choice.chance(60) else tuple(Posture)
    declared = {
        name: dataclasses.replace(network, multicast=(), posture=choice.pick(posture))
        for name, network in case.intents.networks.items()
    }
    intents = dataclasses.replace(case.intents, routers=routers, networks=declared)
    inventory = dataclasses.replace(inventory, endpoints=endpoints, tunnels=tunnels, uplinks=uplinks, away=away)
    return dataclasses.replace(case, intents=intents, inventory=inventory)


class _Count(Pair):
    """Counts what kinds of packets were routed through tunnels."""

    def __init__(self, case: Case) -> None:
        super().__init__(case, DPIDS)
        self.kinds: Counter[str] = Counter()

    def note(self, frame: Frame) -> None:
        aimed = self.switches[frame.dpid].aimed
        if aimed is not None and aimed.hop is not None and aimed.destination.location.dpid != frame.dpid:
            ends = ("world" if isinstance(end, UplinkPort) else "here" for end in aimed[:2])
            self.kinds[" to ".join(ends)] += 1


def _play(pair: _Count, choice: Choice, dpid: int) -> None:
    case = dataclasses.replace(pair.case, dpid=dpid)
    routed = [frame for _ in range(8) if (frame := make_routed(choice, case)) is not None]
    for frame in (*routed, *make_frames(choice, case, 3)):
        if pair.check(frame).fate.outcome is Outcome.DELIVER:
            pair.note(frame)
            answer = reply_to(case, frame)
            pair.check(answer)
            pair.note(answer)


def _tell(pair: _Count) -> None:
    """An ICMP error about each open connection passes as the connection would, from wherever it comes."""
    for opening in pair.connections()[:6]:
        for dpid in DPIDS:
            for frame in routed_errors(dataclasses.replace(pair.case, dpid=dpid), opening):
                pair.check(frame, opening)


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_routing_over_three_hosts_is_as_the_semantics_says(first: int) -> None:
    kinds: Counter[str] = Counter()
    for seed in range(first, first + 20):
        choice = Seeded(f"routing {seed}")
        kind = choice.pick(tuple(TunnelKind))
        pair = _Count(_site(choice, make_case(choice, FLAT), kind=kind))
        for _ in range(3):
            for dpid in DPIDS:
                _play(pair, choice, dpid)
            _tell(pair)
            changed = change_case(choice, pair.case)
            intents = dataclasses.replace(changed.intents, routers=pair.case.intents.routers)
            pair.follow(_site(choice, dataclasses.replace(changed, intents=intents), kind=kind))
            _tell(pair)
        kinds += pair.kinds
    assert min(kinds[way] for way in ("here to here", "here to world", "world to here")) > 5, kinds


@pytest.mark.parametrize("kind", TunnelKind)
def test_a_host_without_the_uplink_cannot_speak_for_the_world(kind: TunnelKind) -> None:
    """Nor can one that has it send from world to world, whatever it puts into the packet."""
    tried = 0
    for seed in range(12):
        choice = Seeded(f"liar {kind} {seed}")
        pair = Pair(_site(choice, make_case(choice, FLAT), kind=kind), DPIDS)
        inventory = pair.case.inventory
        router = pair.case.intents.routers["r0"]
        exits = {p.location.dpid: p for p in inventory.uplinks if p.name == router.uplink}
        for here, end in inventory.tunnels.items():
            ids, far = pair.switches[here].ids, pair.switches[here]
            for liar in (d for d in inventory.tunnels if d != here):
                for victim in (e for e in inventory.on_switch(here) if e.network in router.networks):
                    words = Frame(here, end.ofport, router.mac, victim.mac, ETH_IPV4, src=WORLD[0], protocol=UDP)
                    frame = dataclasses.replace(words, dst=victim.addresses[0], sport=1, dport=2)
                    said = {f.TUN_SRC: int(inventory.tunnels[liar].address)}
                    said[f.TUN_ID] = ids.number("network", victim.network)
                    for number in far.attachments if kind is TunnelKind.GENEVE else (0,):
                        lie = {**said, f.TUN_OPTION: number << 32}
                        result = far.interpreter.run(frame, far.conntrack, None, lie)
                        is_exit = liar in exits and (
                            kind is not TunnelKind.GENEVE or far.attachments[number] == exits[liar].attachment
                        )
                        assert is_exit or result.cookies[:-1] == [TUNNEL_GUARD]
                        tried += not is_exit
                        if here in exits:
                            out = {**lie, f.TUN_ID: ids.number("network", "uplink/up")}
                            transit = dataclasses.replace(frame, eth_dst=NEXT_HOP, dst=WORLD[1])
                            assert not far.interpreter.run(transit, far.conntrack, None, out).ports
    assert tried


@pytest.mark.parametrize("seed", range(24))
def test_an_engine_that_follows_routers_over_hosts_equals_a_compilation_of_everything(seed: int) -> None:
    """Endpoints, tunnels, uplinks, hosts that are away and switches come and go; routers mostly stay."""
    choice = Seeded(f"routing engine {seed}")
    kind = choice.pick(tuple(TunnelKind))
    case = _site(choice, make_case(choice, FLAT), kind=kind)
    engine, ids = Engine(IdMap()), IdMap()
    for now_s in range(1, 9):
        intents = effective(case.intents, NOW, OFFSETS)
        engine.update(intents, case.inventory, subset(choice, DPIDS, 85), float(now_s))
        ids = engine.ids()
        assert allocate(intents, case.inventory, ids, float(now_s)).to_json() == ids.to_json()
        for dpid in engine.dpids:
            assert dict(engine.program(dpid)) == compile_program(intents, case.inventory, dpid, ids), (now_s, dpid)
        case = _change(choice, case, _site(choice, make_case(choice, FLAT), kind=kind))


def _change(choice: Choice, case: Case, other: Case) -> Case:
    """Return the case after one change; routers and uplinks seldom change, since the engine begins anew then."""
    there, here = other.inventory, case.inventory
    match choice.pick(("move", "move", "gone", "come", "tunnels", "tunnels", "away", "ways", "policies")):
        case "tunnels":
            here = dataclasses.replace(here, tunnels=there.tunnels)
        case "away":
            here = dataclasses.replace(here, away=there.away)
        case "ways":
            here = dataclasses.replace(here, uplinks=there.uplinks)
        case "policies":
            return change_case(choice, case)
        case what:
            endpoints = dict(here.endpoints)
            for name in subset(choice, tuple(endpoints), 40):
                one = endpoints.pop(name)
                if what == "move":
                    place = dataclasses.replace(one.location, dpid=choice.pick(DPIDS), uid=f"{one.location.uid}+")
                    endpoints[name] = dataclasses.replace(one, location=place)
            fit = {n: e for n, e in there.endpoints.items() if e.network in case.intents.networks}
            endpoints = endpoints if what != "come" or here.endpoints else fit
            here = dataclasses.replace(here, endpoints=endpoints)
    return dataclasses.replace(case, inventory=here)

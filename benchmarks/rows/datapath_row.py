"""What the rules cost packets: TCP throughput, transactions and connections between two namespaces."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks import ovn as peer
from benchmarks.agreement import check_ours, samples
from benchmarks.core import built
from benchmarks.harness import REPEATS, Bound, Result
from benchmarks.openflow import modifications, timed
from benchmarks.ovn import fresh_ovn
from benchmarks.rows.probed import allow
from benchmarks.switches import BRIDGE, add_bridge, add_ports, control, fresh_bridge, fresh_switch
from benchmarks.workloads import FIRST, World, endpoint, mac_of, w
from mininet_scenarios import namespaces, shell
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.namespaces import Nic
from mininet_scenarios.private_ovs import PrivateOvs, SwitchCrashedError

SIZE = (500, 50, 1000)
NAME = "W(500,50,1000)"
IPERF, TALK = 5201, 9000
SECONDS = 3
UNITS = {"tcp": "Gb/s", "tcp_rr": "1/s", "connections": "1/s"}
NORMAL_BOUNDS = {"tcp": 0.95, "tcp_rr": 0.85, "connections": 0.85}
ROOT = Path(__file__).parent.parent.parent

Figures = dict[str, float]
Loaded = tuple[Janitor, PrivateOvs, str]
"""Who cleans up, the switch, and the bridge to plug into."""


def datapath() -> Iterator[Result]:
    """Measure ours with W(500,50,1000) loaded beside a NORMAL bridge and OVN with the same rules, in turns."""
    world = _world()
    sides: dict[str, Callable[[World], AbstractContextManager[Loaded]]] = {
        "ours": _ours,
        "NORMAL bridge": _normal,
        peer.NAME: _theirs,
    }
    found: dict[str, list[Figures]] = {name: [] for name in sides}
    crashes = 0
    for _ in range(REPEATS):
        for name, side in sides.items():
            try:
                with side(world) as loaded:
                    found[name].append({})
                    _measured(loaded, found[name][-1])
            except (SwitchCrashedError, shell.CommandError) as error:
                if name != peer.NAME:
                    raise
                crashes += 1
                print(
                    f"datapath: the peer does not finish a turn: {type(error).__name__} {str(error)[-700:]}",
                    file=sys.stderr,
                )
    for other in (name for name in sides if name != "ours"):
        yield from _results(other, found["ours"], found[other], crashes if other == peer.NAME else 0)


def _results(name: str, ours: list[Figures], theirs: list[Figures], crashes: int) -> Iterator[Result]:
    for what, unit in UNITS.items():
        least = 1.0 if name == peer.NAME else NORMAL_BOUNDS[what]
        yield Result(
            "datapath",
            f"{what} between two namespaces, {NAME} loaded; more is better",
            unit,
            [figures[what] for figures in ours],
            [figures[what] for figures in theirs if what in figures],
            name,
            [Bound("ratio", ">=", least)] if all(what in figures for figures in theirs) else [],
            note=f"the peer's switch crashed in {crashes} turns, which is no win" if crashes else "",
        )


def _world() -> World:
    """Return W with two endpoints more, which may talk."""
    base = w(*SIZE)
    ends = [endpoint(SIZE[0], {"role": "talker"}), endpoint(SIZE[0] + 1, {"role": "listener"})]
    talk = allow("talk", "talker", "listener", f"tcp/{TALK}")
    talk["rules"][0]["services"].append(f"tcp/{IPERF}")
    return base.but(
        endpoints={**base.endpoints, **{e["name"]: e for e in ends}}, policies={**base.policies, "talk": talk}
    )


@contextmanager
def _ours(world: World) -> Iterator[Loaded]:
    with Janitor() as janitor, fresh_switch(janitor) as ovs:
        core, delta = built(world)
        with fresh_bridge(ovs) as channel, control(ovs) as ask:
            add_ports(ovs, BRIDGE, SIZE[0])
            timed(channel, modifications(delta))
            check_ours(samples(world), ask, BRIDGE, core.ids)
            yield janitor, ovs, BRIDGE


@contextmanager
def _normal(_: World) -> Iterator[Loaded]:
    with Janitor() as janitor, fresh_switch(janitor) as ovs:
        add_bridge(ovs)
        ovs.ofctl("add-flow", BRIDGE, "actions=NORMAL")
        yield janitor, ovs, BRIDGE


@contextmanager
def _theirs(world: World) -> Iterator[Loaded]:
    with fresh_ovn(SIZE[0]) as ovn:
        ovn.build(world)
        yield ovn.janitor, ovn.ovs, peer.BRIDGE


def _measured(loaded: Loaded, figures: Figures) -> None:
    """Measure, and note each figure as soon as it is there; where that fails because the switch crashed, say so.

    Raises:
        SwitchCrashedError: with the end of its log.
        CommandError: a program could not talk, for another reason.
    """
    try:
        for what, value in _measure(*loaded):
            figures[what] = value
    except shell.CommandError:
        loaded[1].check()
        raise


def _measure(janitor: Janitor, ovs: PrivateOvs, bridge: str) -> Iterator[tuple[str, float]]:
    """Plug two namespaces and let them talk; yield the three figures."""
    client, address = talking(janitor, ovs, bridge, SIZE[0])
    iperf = ["iperf3", "-c", address, "-p", str(IPERF), "-t", str(SECONDS), "-J"]
    said = json.loads(_in(janitor, client, iperf))
    yield "tcp", said["end"]["sum_received"]["bits_per_second"] / 1e9
    yield "tcp_rr", transactions(janitor, client, address, "rr")
    yield "connections", transactions(janitor, client, address, "crr")


def talking(janitor: Janitor, ovs: PrivateOvs, bridge: str, first: int) -> tuple[str, str]:
    """Plug namespaces as endpoints `first` and the next, which serves; return the client's and the server's address."""
    client, server = janitor.netns(), janitor.netns()
    for netns, number in ((client, first), (server, first + 1)):
        nic = Nic(netns, f"v{number}", mac_of(number), (f"{FIRST + number}/8",))
        namespaces.plug([nic], ovs.netns)
        words = ["add-port", bridge, nic.outer, "--", "set", "interface", nic.outer]
        ovs.vsctl(*words, f"external_ids:iface-id=e{number}", f"ofport_request={number + 1}")
    address = str(FIRST + first + 1)
    where = janitor.surroundings(server, {"PYTHONPATH": str(ROOT)})
    janitor.start([sys.executable, "-m", "benchmarks.talk", "serve", str(TALK)], where=where)
    with (janitor.directory() / "iperf").open("wb") as said:
        janitor.start(["iperf3", "-s", "-p", str(IPERF)], where=where, output=said)
    _until_heard(janitor, client, address)
    return client, address


def transactions(janitor: Janitor, client: str, address: str, how: str) -> float:
    """Return transactions a second, on one connection (`rr`) or each on its own (`crr`)."""
    argv = [sys.executable, "-m", "benchmarks.talk", how, address, str(TALK), str(SECONDS)]
    return float(_in(janitor, client, argv))


def _until_heard(janitor: Janitor, client: str, address: str) -> None:
    """Return when the way is open: a peer may take a while to learn of two ports."""
    talk = [sys.executable, "-m", "benchmarks.talk", "rr", address, str(TALK), "0.01"]
    give_up_at = time.monotonic() + 60
    while True:
        try:
            _in(janitor, client, talk)
        except shell.CommandError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.2)
        else:
            return


def _in(janitor: Janitor, netns: str, argv: list[str]) -> str:
    where = janitor.surroundings(netns, {"PYTHONPATH": str(ROOT)})
    return shell.run(argv, where=where, timeout_s=SECONDS + 30)

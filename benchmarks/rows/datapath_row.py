"""What the rules cost packets: TCP throughput, transactions and connections between two namespaces."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
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
from mininet_scenarios.private_ovs import Daemon, PrivateOvs, SwitchCrashedError

SIZE = (500, 50, 1000)
NAME = "W(500,50,1000)"
IPERF, TALK = 5201, 9000
SECONDS = 2
SHORT_S = 1
"""Of transactions and connections."""
SWITCH = 0
TALKERS = ("taskset", "-c", "1") if (os.cpu_count() or 1) > 1 else ()
"""Who talks has one core, and the switch another: else where the kernel happens to wake them counts twice the rules."""
TURNS = 3
"""Of each round. One lasts a few seconds a side, so that what else the machine does meets all sides alike."""
DEADLY = ("connections", peer.NAME)
"""Often crashes the switch (`conntrack.c:1063`), so it comes last in a round."""
LEAST = "hand-written: one ct, its label, output"
"""What following connections costs in Open vSwitch, whoever writes the flows."""
UNITS = {"tcp": "Gb/s", "tcp_rr": "1/s", "connections": "1/s"}
TIME = "tcp: time of the switch a packet"
"""Of the thread that forwards, on a core: what remains of a figure when nobody else's work is in it."""
NORMAL_BOUNDS = {"tcp": 0.95, "tcp_rr": 0.85, "connections": 0.85}
_RECEIVED = re.compile(r"packets received: (\d+)")
ROOT = Path(__file__).parent.parent.parent

Figures = dict[str, float]
Loaded = tuple[Janitor, PrivateOvs, str]
"""Who cleans up, the switch, and the bridge to plug into."""


def datapath() -> Iterator[Result]:
    """Measure ours with W(500,50,1000) loaded beside three bridges, all there at once, in short turns.

    The bridges are one that forwards without rules, one with the least that follows connections, and OVN's with the
    same rules.
    """
    world = _world()
    found: dict[str, list[Figures]] = {name: [] for name in ("ours", *SIDES)}
    crashes = sum(_round(world, found) for _ in range(REPEATS))
    for name in SIDES:
        yield from _results(name, found["ours"], found[name], crashes if name == peer.NAME else 0)


def _round(world: World, found: dict[str, list[Figures]]) -> int:
    """Build every side anew and measure each a few times; return how often the peer did not finish."""
    crashes = 0
    with contextlib.ExitStack() as stack:
        sides = {name: _Side(name, side, world) for name, side in {"ours": _ours, **SIDES}.items()}
        for side in sides.values():
            stack.callback(side.close)
            crashes += not side.begin()
        for turn in range(TURNS):
            order = list(sides)[:: -1 if turn % 2 else 1]
            for name in order:
                found[name].append({})
            for what, name in itertools.product(UNITS, order):
                if (what, name) != DEADLY or turn == TURNS - 1:
                    crashes += not sides[name].measure(what, found[name][-1])
    return crashes


class _Side:
    """Two namespaces that talk through a bridge. Where the peer fails, what it measured until then counts."""

    def __init__(self, name: str, side: Callable[[World], AbstractContextManager[Loaded]], world: World) -> None:
        self._name, self._side, self._world = name, side, world
        self._stack = contextlib.ExitStack()
        self._ends: tuple[Janitor, str, str] | None = None
        self._ovs: PrivateOvs | None = None
        self._failed = False

    def begin(self) -> bool:
        """Build the side; return False if the peer fails, here and in `measure`.

        Raises:
            SwitchCrashedError, CommandError: another side fails.
        """
        return self._tried(self._plug)

    def measure(self, what: str, figures: Figures) -> bool:
        """Note one figure."""

        def note() -> None:
            if self._ends is None or self._ovs is None:
                return
            before = spent(self._ovs)
            figures[what] = MEASURES[what](*self._ends)
            seconds, packets = (b - a for a, b in zip(before, spent(self._ovs), strict=True))
            if what == "tcp":
                figures[TIME] = seconds / packets * 1e6

        return self._failed or self._tried(note)

    def _plug(self) -> None:
        janitor, ovs, bridge = self._stack.enter_context(self._side(self._world))
        self._ovs = ovs
        if TALKERS:
            os.sched_setaffinity(ovs.pid(Daemon.SWITCH), {SWITCH})  # its main thread, which forwards
        self._ends = (janitor, *talking(janitor, ovs, bridge, SIZE[0]))

    def _tried(self, act: Callable[[], None]) -> bool:
        try:
            try:
                act()
            except shell.CommandError:
                if self._ovs:
                    self._ovs.check()
                raise
        except (SwitchCrashedError, shell.CommandError) as error:
            if self._name != peer.NAME:
                raise
            self._failed = True
            said = f"{type(error).__name__} {str(error)[-700:]}"
            print(f"datapath: the peer does not finish a turn: {said}", file=sys.stderr)
        return not self._failed

    def close(self) -> None:
        """Take everything away again.

        Raises:
            SwitchCrashedError: the switch crashed, and that was not said yet.
        """
        try:
            self._stack.close()
        except (SwitchCrashedError, peer.PeerCrashedError):
            if not self._failed:
                raise


def _results(name: str, ours: list[Figures], theirs: list[Figures], crashes: int) -> Iterator[Result]:
    for what, unit in {**UNITS, TIME: "us"}.items():
        measured = [figures[what] for figures in theirs if what in figures]
        least = {peer.NAME: 1.0, "NORMAL bridge": NORMAL_BOUNDS.get(what)}.get(name) if what in UNITS else None
        is_whole = len(measured) == (REPEATS if (what, name) == DEADLY else len(theirs))
        bounds = [] if least is None or not is_whole else [Bound("ratio", ">=", least)]
        yield Result(
            "datapath",
            f"{what} between two namespaces, {NAME} loaded; {'more' if what in UNITS else 'less'} is better",
            unit,
            [figures[what] for figures in ours],
            measured,
            name,
            bounds,
            note=f"the peer's switch crashed in {crashes} rounds, which is no win" if crashes else "",
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


def spent(ovs: PrivateOvs) -> tuple[float, int]:
    """Return the seconds that the switch's thread had a core, and the packets it received."""
    pid = ovs.pid(Daemon.SWITCH)
    nanoseconds = int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0])
    said = ovs.appctl("dpif-netdev/pmd-stats-show")
    return nanoseconds / 1e9, sum(int(count) for count in _RECEIVED.findall(said))


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
def _least(_: World) -> Iterator[Loaded]:
    """Yield a bridge that knows two ports, and lets what one of them opens pass while its label is right."""
    with Janitor() as janitor, fresh_switch(janitor) as ovs:
        add_bridge(ovs)
        add_ports(ovs, BRIDGE, SIZE[0])  # the switch looks at each port now and then
        ports = SIZE[0] + 1, SIZE[0] + 2
        ovs.ofctl("add-flow", BRIDGE, "arp,actions=NORMAL")
        for here, there in itertools.permutations(ports):
            known = f"table=1,ip,in_port={here},ct_state=+trk"
            ovs.ofctl("add-flow", BRIDGE, f"ip,in_port={here},actions=ct(table=1,zone=1)")
            ovs.ofctl("add-flow", BRIDGE, f"{known}+est,ct_label=1,actions=output:{there}")
        opened = f"output:{ports[1]},ct(commit,zone=1,exec(set_field:1->ct_label))"
        ovs.ofctl("add-flow", BRIDGE, f"table=1,ip,in_port={ports[0]},ct_state=+trk+new,actions={opened}")
        yield janitor, ovs, BRIDGE


@contextmanager
def _theirs(world: World) -> Iterator[Loaded]:
    with fresh_ovn(SIZE[0]) as ovn:
        ovn.build(world)
        yield ovn.janitor, ovn.ovs, peer.BRIDGE


SIDES: dict[str, Callable[[World], AbstractContextManager[Loaded]]] = {
    "NORMAL bridge": _normal,
    LEAST: _least,
    peer.NAME: _theirs,
}


def _throughput(janitor: Janitor, client: str, address: str) -> float:
    iperf = ["iperf3", "-c", address, "-p", str(IPERF), "-t", str(SECONDS), "-J"]
    said = json.loads(_in(janitor, client, iperf))
    return float(said["end"]["sum_received"]["bits_per_second"]) / 1e9


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
    janitor.start([*TALKERS, sys.executable, "-m", "benchmarks.talk", "serve", str(TALK)], where=where)
    with (janitor.directory() / "iperf").open("wb") as said:
        janitor.start([*TALKERS, "iperf3", "-s", "-p", str(IPERF)], where=where, output=said)
    _until_heard(janitor, client, address)
    return client, address


def transactions(janitor: Janitor, client: str, address: str, how: str) -> float:
    """Return transactions a second, on one connection (`rr`) or each on its own (`crr`)."""
    argv = [sys.executable, "-m", "benchmarks.talk", how, address, str(TALK), str(SHORT_S)]
    return float(_in(janitor, client, argv))


MEASURES: dict[str, Callable[[Janitor, str, str], float]] = {
    "tcp": _throughput,
    "tcp_rr": lambda janitor, client, address: transactions(janitor, client, address, "rr"),
    "connections": lambda janitor, client, address: transactions(janitor, client, address, "crr"),
}


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
    return shell.run([*TALKERS, *argv], where=where, timeout_s=SECONDS + 30)

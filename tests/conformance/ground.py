"""A private Open vSwitch with a namespace for every pod of the data, and probes in each."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from intent.compiler import fields as f
from intent.compiler.interpreter import View
from mininet_scenarios import namespaces, shell
from mininet_scenarios.agents import Agent, ask_all
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.namespaces import Nic
from mininet_scenarios.private_ovs import PrivateOvs
from tests.conformance.cases import Cell, Step
from tests.conformance.cluster import World, mac
from tests.ovs.raw_switch import RawSwitch
from topology.packet import SCTP

PORTS = {"tcp": (80, 81), "udp": (80, 81)}
NEW = View(f.CS_NEW | f.CS_TRK)
FIRST_TIMEOUT_S, SECOND_TIMEOUT_S = 0.6, 2.5
"""A probe that should be answered and is not, is asked again, with time for what a busy machine lost."""


class Ground:
    """One bridge that follows the steps by diffs. A context manager; leaves nothing behind, also when killed."""

    def __init__(self, pods: Mapping[str, int], steps: Iterable[Step]) -> None:
        self._pods = pods
        self._addresses = {f"{p['namespace']}/{p['name']}": p["ip"] for step in steps for p in step.pods}
        self._janitor = Janitor()
        self._agents: dict[str, Agent] = {}

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self._janitor.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            self._switch.close()
            if kind is None:
                self._ovs.check()
        finally:
            self._janitor.close()

    def _build(self) -> None:
        self._ovs = PrivateOvs(self._janitor)
        self._ovs.start()
        self._bridge = self._janitor.fresh("b")
        options = ("datapath_type=netdev", "fail_mode=secure")
        self._ovs.vsctl("add-br", self._bridge, "--", "set", "bridge", self._bridge, *options)
        self._switch = RawSwitch(self._ovs, self._bridge, 1)
        nics = {pod: self._nic(pod) for pod in self._pods}
        namespaces.plug(list(nics.values()), self._ovs.netns)
        words: list[str] = []
        for pod, nic in nics.items():
            words += ["--", "add-port", self._bridge, nic.outer]
            words += ["--", "set", "interface", nic.outer, f"ofport_request={self._pods[pod]}"]
        self._ovs.vsctl(*words[1:])
        self._agents = {pod: self._agent(pod, nic) for pod, nic in nics.items()}
        ask_all(self._agents.values(), "arrivals")

    def _nic(self, pod: str) -> Nic:
        outer, address = self._janitor.fresh("v"), f"{self._addresses[pod]}/16"
        return Nic(self._janitor.netns(), outer, mac(self._pods[pod]), (address,))

    def _agent(self, pod: str, nic: Nic) -> Agent:
        where = shell.Surroundings(netns=nic.netns)
        launch = lambda argv: self._janitor.start(argv, where=where, pipe=True)  # noqa: E731
        return Agent(pod, launch, [self._addresses[pod]], ports=PORTS)

    # -- following and asking -----------------------------------------------------------------------

    def install(self, world: World) -> None:
        """Change the bridge from the step before to this one; it must then hold exactly the program."""
        self._switch.install(world.program)
        assert self._switch.dump() == world.program

    def traced_wrong(self, world: World) -> Iterator[tuple[Cell, str]]:
        """Yield each cell that Open vSwitch itself traces elsewhere than it must, and how."""
        for cell, letters in world.step.expected.items():
            wanted = [world.endpoint(cell.destination).location.ofport] if letters[2] == "A" else []
            found = self._switch.trace(world.frame(cell), NEW)
            if found != wanted:
                yield cell, f"the switch traces it to ports {found}, not {wanted}"

    def measured_wrong(self, world: World) -> tuple[int, list[tuple[Cell, str]]]:
        """Open every TCP and UDP cell with real packets; return how many, and those that went wrong and how."""
        self._ovs.appctl("revalidator/wait")
        expected = {cell: letters[2] == "A" for cell, letters in world.step.expected.items() if cell.protocol != SCTP}
        wrong = self._probe(expected, FIRST_TIMEOUT_S)
        silent = [cell for cell in wrong if expected[cell]]
        if silent:
            time.sleep(0.2)
            again = self._probe(dict.fromkeys(silent, True), SECOND_TIMEOUT_S)
            wrong = {cell: why for cell, why in wrong.items() if not expected[cell]} | again
        return len(expected), list(wrong.items())

    def _probe(self, expected: Mapping[Cell, bool], timeout_s: float) -> dict[Cell, str]:
        answers = self._ask(list(expected), timeout_s)
        arrived = {
            pod: {tuple(flow[:5]) for flow in flows}
            for pod, flows in ask_all(self._agents.values(), "arrivals").items()
        }
        wrong = {}
        for cell, opens in expected.items():
            result, source_port = answers[cell]
            flow = (
                cell.protocol,
                self._addresses[cell.source],
                self._addresses[cell.destination],
                source_port,
                cell.port,
            )
            places = [pod for pod, flows in arrived.items() if flow in flows]
            right = (
                (result == "open" and places == [cell.destination]) if opens else (result == "silent" and not places)
            )
            if not right:
                wrong[cell] = f"a packet is {result} and arrives at {places or 'nobody'}"
        return wrong

    def _ask(self, cells: Sequence[Cell], timeout_s: float) -> dict[Cell, tuple[str, int]]:
        asked: dict[str, list[dict[str, object]]] = {}
        for number, cell in enumerate(cells):
            probe = {"id": number, "protocol": cell.service.partition("/")[0].lower(), "port": cell.port}
            ends = {"src": self._addresses[cell.source], "dst": self._addresses[cell.destination]}
            asked.setdefault(cell.source, []).append({**probe, **ends})
        for pod, probes in asked.items():
            self._agents[pod].post("probe", probes=probes, timeout_s=timeout_s)
        replies = [reply for pod in asked for reply in self._agents[pod].reply()]
        return {cells[number]: (result, source_port) for number, result, source_port in replies}

"""`make demo SCENARIO=docker_shop`: the Compose example on a real dockerd of its own, measured cell by cell.

The containers and intents are those of `examples/compose`; their images are made here, and instead of
each service a probe agent runs in the container's network namespace, so that every packet is seen.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import yaml

from mininet_scenarios import compose, docker_host, measuring, report, summary
from mininet_scenarios.agents import Agent, listening
from mininet_scenarios.compose import Project, Service
from mininet_scenarios.docker_host import DockerHost
from mininet_scenarios.expectation import Judge, World, cells
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.rest import RestError
from mininet_scenarios.runner import Phase
from mininet_scenarios.scenario import Document, Probe, Scenario, Workload
from mininet_scenarios.show import Show, Teller, Told

NAME = "docker_shop"
EXAMPLE = Path(__file__).parent.parent / "examples" / "compose"
PROBES = (Probe("tcp", 8080), Probe("tcp", 8000), Probe("tcp", 5432), Probe("udp", 53), Probe("icmp"))
PORT_LABEL = "ringfence.port."
SETTLE_TIMEOUT_S = 90.0


class Shop:
    """The example, up. A context manager; `agents` and `world` as in other scenarios."""

    def __init__(self, host: DockerHost, project: Project) -> None:
        """Nothing starts before it is entered; `host` is up."""
        self.host = host
        self.project = project
        self.agents: dict[str, Agent] = {}
        self.world = World({}, {}, frozenset())
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        for network in self.project.networks:
            self.host.docker("network", "create", *network.words())
        for service in self.project.services:
            self.host.docker("run", "-d", *service.words(), docker_host.IMAGE, "sleep", "86400")
        workloads = {service.name: self._workload(service) for service in self.project.services}
        self.world = World({}, workloads, frozenset(workloads))
        for name, workload in workloads.items():
            self.agents[name] = self._agent(name, workload)
            self._stack.callback(self.agents[name].close)
        return self

    def __exit__(self, *_: object) -> None:
        with self._stack:
            self.host.docker("rm", "-f", *(service.container for service in self.project.services))
            for network in self.project.networks:
                self.host.docker("network", "rm", network.name)

    def apply(self, documents: Sequence[Document]) -> None:
        """Put documents into force, and return when the switch has them and all containers are plugged in.

        Raises:
            RestError: not in time.
        """
        self.world = dataclasses.replace(
            self.world, documents={**self.world.documents, **{(d["kind"], d["name"]): d for d in documents}}
        )
        self.host.controller.rest.apply(documents)
        deadline = time.monotonic() + SETTLE_TIMEOUT_S
        wanted = {f"{service.container}.shop" for service in self.project.services}
        while (found := self._plugged()) != wanted:
            if time.monotonic() > deadline:
                raise RestError(f"plugged in are {sorted(found)}, not {sorted(wanted)}")
            time.sleep(0.02)
        time.sleep(0.3)  # what was plugged last is on its way to the switch
        self.host.ovs.appctl("revalidator/wait")

    def measure(self, title: str) -> Phase:
        """Measure every cell and put what the semantics say beside it."""
        started = time.monotonic()
        compared = measuring.judged(self.agents, Judge(self.world), cells(self.world, PROBES))
        return Phase(title, compared, time.monotonic() - started)

    def _plugged(self) -> set[str]:
        items = self.host.controller.rest.call("GET", "/v1/live/endpoints")["items"]
        return {str(item["name"]) for item in items}

    def _workload(self, service: Service) -> Workload:
        """Return what the semantics know of a container: the file's labels, and Docker's addresses."""
        end = self._inspect(service)["NetworkSettings"]["Networks"][service.network]
        labels = {k: v for k, v in service.labels.items() if not k.startswith(("com.docker.", PORT_LABEL))}
        own = {"docker.compose.project": self.project.name, "docker.compose.service": service.name}
        named = {k.removeprefix(PORT_LABEL): f"tcp/{v}" for k, v in service.labels.items() if k.startswith(PORT_LABEL)}
        addresses = tuple(a for a in (end["IPAddress"], end["GlobalIPv6Address"]) if a)
        return Workload(service.name, "shop", end["MacAddress"], addresses, {**labels, **own}, named)

    def _inspect(self, service: Service) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(self.host.docker("inspect", service.container))
        return found[0]

    def _agent(self, name: str, workload: Workload) -> Agent:
        service = next(s for s in self.project.services if s.name == name)
        pid = str(self._inspect(service)["State"]["Pid"])

        def launch(argv: Sequence[str]) -> subprocess.Popen[bytes]:
            return self.host.janitor.start(["nsenter", "-t", pid, "-n", *argv], pipe=True)

        return Agent(name, launch, workload.addresses, ports=listening(PROBES))


def documents(name: str) -> list[Document]:
    """Return the documents of a file of the example."""
    return list(yaml.safe_load_all((EXAMPLE / name).read_text()))


def run(teller: Teller) -> Told:
    """Bring the example up, measure, make its change, measure again.

    Raises:
        one of `show.FAILURES`.
    """
    paper = teller.paper
    teller.say("starting switch, controller, driver and dockerd")
    with Janitor() as janitor, DockerHost(janitor) as host:
        teller.say("starting the containers")
        with Shop(host, compose.load(EXAMPLE / "compose.yaml")) as shop:
            report.topology(paper, Scenario(NAME, "", shop.world.workloads, (), PROBES))
            report.intents(paper, documents("shop.yaml"))
            shop.apply(documents("shop.yaml"))
            phases = [shop.measure("the intents as written")]
            report.matrix(paper, phases[0])
            shop.apply(documents("lock.yaml"))
            phases.append(shop.measure("nobody pings the database any more"))
            report.matrix(paper, phases[1])
            report.changes(paper, phases[0], phases[1])
            teller.say("taking everything down")
        host.check()
    verdicts = [one.as_intended for phase in phases for one in phase.cells]
    return Told(NAME, verdicts, {"phases": summary.of_phases(phases)})


SHOW = Show(docker_host.missing, run, docker_host.run_inside)

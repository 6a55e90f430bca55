"""The other end of the probe agents: start one in each workload, ask many at once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from mininet_scenarios.scenario import Probe

Launch: TypeAlias = Callable[[Sequence[str]], subprocess.Popen[bytes]]
"""Start a program inside a workload's namespace, with pipes as its standard input and output."""

AGENT = Path(__file__).with_name("agent.py")


def listening(probes: Iterable[Probe]) -> dict[str, list[int]]:
    """Return the ports of each protocol that an agent has to listen on to answer these probes."""
    ports: dict[str, list[int]] = {}
    for probe in probes:
        ports.setdefault(probe.protocol, []).append(probe.port)
    return ports


class AgentError(RuntimeError):
    """An agent ended; what it said is on standard error."""


class Agent:
    """A running agent. Ask with `ask`, or `post` to many and then `reply` from each."""

    def __init__(
        self,
        name: str,
        launch: Launch,
        addresses: Iterable[str],
        *,
        ports: Mapping[str, Iterable[int]],
        interface: str = "eth0",
    ) -> None:
        self.name = name
        settings = {
            "interface": interface,
            "addresses": list(addresses),
            "tcp": sorted(ports.get("tcp", ())),
            "udp": sorted(ports.get("udp", ())),
        }
        self._process = launch([sys.executable, "-I", "-S", str(AGENT), json.dumps(settings)])

    def post(self, op: str, **arguments: object) -> None:
        """Send a request."""
        stream = self._process.stdin
        if stream is None:
            raise AgentError(f"agent of {self.name}: started without pipes")
        stream.write(json.dumps({"op": op, **arguments}).encode() + b"\n")
        stream.flush()

    def reply(self) -> Any:  # noqa: ANN401 - JSON, as the operation defines it
        """Return the answer to the oldest request that has none yet.

        Raises:
            AgentError: the agent ended instead.
        """
        stream = self._process.stdout
        line = stream.readline() if stream is not None else b""
        if not line:
            raise AgentError(f"agent of {self.name} ended with {self._process.wait(5)}; see its messages above")
        return json.loads(line)

    def ask(self, op: str, **arguments: object) -> Any:  # noqa: ANN401 - JSON, as the operation defines it
        """Send a request and return its answer."""
        self.post(op, **arguments)
        return self.reply()

    def close(self) -> None:
        """End the agent."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.terminate()
        self._process.wait(30)


def ask_all(agents: Iterable[Agent], op: str) -> dict[str, Any]:
    """Send one request to many agents, and return the answers by name."""
    asked = list(agents)
    for agent in asked:
        agent.post(op)
    return {agent.name: agent.reply() for agent in asked}

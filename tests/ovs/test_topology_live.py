"""The topology and the events of a real controller under `ryu-manager`, with a real switch."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from controller_bench import BRIDGE, RYU_MANAGER, THREE, ControllerBench, until


class Follower:
    """Reads the events of a controller in a thread of its own."""

    def __init__(self, bench: ControllerBench, after: str) -> None:
        self.events: list[dict] = []
        headers = bench.authorization() | {"Last-Event-ID": after}
        self._connection = bench.connect(timeout_s=60)
        self._connection.request("GET", "/v1/events", headers=headers)
        self._answer = self._connection.getresponse()
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self) -> None:
        while line := self._answer.readline():
            if line.startswith(b"data: "):
                self.events.append(json.loads(line[6:]))
        self._connection.close()

    def of(self, kind: str) -> list[str]:
        return [e["subject"] for e in self.events if e["kind"] == kind]


def agreed(bench: ControllerBench, whole: dict) -> bool:
    """Whether a topology shows the host, its two ports and the endpoint as they are."""
    hosts = [(host["state"], host["version"][:2]) for host in whole["hosts"]]
    ports = {p["name"]: (p["role"], p["state"]) for p in whole["ports"]}
    endpoints = [(e["name"], e["host"], e["state"]) for e in whole["endpoints"]]
    return (hosts, ports, endpoints) == (
        [("up", "3.")],
        {"v1": ("endpoint", "up"), BRIDGE: ("local", "up")},
        [("v1", bench.ovs.db_target, "up")],
    )


def test_everything_that_happens_is_told_in_order_and_the_topology_agrees(bench):
    bench.start(RYU_MANAGER)
    assert until(bench.is_connected)
    bench.ovs.vsctl("set", "Open_vSwitch", ".", "ovs_version=3.1.0")  # ovs-ctl does it, not the daemons
    after = bench.ask("GET", "/v1/topology")[1]["event"]
    follower = Follower(bench, after)
    bench.add_port("v1", 1, app="a")
    bench.apply(THREE)
    assert until(lambda: follower.of("endpoint.came") == ["v1"])
    assert until(lambda: follower.of("revision.realized")[-1:] == ["1"])  # 0 may be told before or after we followed
    bench.ovs.vsctl("del-port", "v1")
    bench.add_port("v1", 1, app="a")
    assert until(lambda: follower.of("endpoint.moved") or follower.of("endpoint.left"))
    assert until(lambda: agreed(bench, bench.ask("GET", "/v1/topology")[1])), bench.ask("GET", "/v1/topology")[1]
    bench.ovs.vsctl("del-port", "v1")
    assert until(lambda: "v1" in follower.of("endpoint.left"))
    numbers = [int(e["id"].rpartition("-")[2]) for e in follower.events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert bench.stop() == 0
    follower.thread.join(30)
    assert not follower.thread.is_alive()
    assert "Traceback" not in bench.said()

"""The whole controller with hosts that dial in: they register, are kept, and are known after a restart."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from controller_bench import BRIDGE, THREE, ControllerBench, until

from mininet_scenarios.private_ovs import Daemon, PrivateOvs

CONTROLLER = "tcp:127.0.0.1:6640"


def host(ovs: PrivateOvs, name: str) -> None:
    ovs.vsctl("set", "Open_vSwitch", ".", f"external_ids:system-id={name}", wait=False)
    ovs.vsctl("set-manager", CONTROLLER, wait=False)


@pytest.fixture
def bench(janitor, ovs):
    bench = ControllerBench(janitor, ovs)
    text = bench.config.read_text().replace(f'targets: ["{ovs.db_target}"]', "targets: [], listen: {}")
    bench.config.write_text(text)
    yield bench
    if bench.process and bench.process.poll() is None:
        bench.process.kill()


def test_a_host_registers_gets_its_bridge_and_comes_back(bench, ovs):
    """Also after the controller was killed, and the database server; nothing changes in the tables then."""
    bench.start()
    host(ovs, "host-a")
    assert until(lambda: BRIDGE in ovs.vsctl("list-br")), bench.said()
    assert until(lambda: [s["host"] for s in bench.switch()["items"] if s["connected"]] == ["host-a"]), bench.said()
    bench.add_port("v1", 1, app="a")
    bench.add_port("v2", 2, app="b")
    assert until(lambda: bench.apply(THREE)["realized"]["phase"] == "realized", 15), bench.said()
    assert until(lambda: len(bench.ask("GET", "/v1/live/endpoints")[1]["items"]) == 2)
    assert until(lambda: bench.ask("GET", "/v1/status")[1]["realized"]["phase"] == "realized"), bench.said()
    assert until(lambda: sum("dl_src=02:00:00:00:00:0" in flow for flow in bench.flows()) >= 2)
    flows = bench.flows()
    bench.stop(signal.SIGKILL)
    bench.start()
    assert until(lambda: any(s["connected"] for s in bench.switch()["items"])), bench.said()
    assert until(lambda: bench.ask("GET", "/v1/status")[1]["realized"]["phase"] == "realized"), bench.said()
    assert bench.has(flows)
    ovs.restart(Daemon.DATABASE, gently=False)
    assert until(lambda: "host-a: connected" in bench.said().rpartition("closed the connection")[2]), bench.said()
    assert bench.has(flows)
    assert bench.stop() == 0

"""The whole controller with hosts that dial in: they register, are kept, and are known after a restart."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from controller_bench import BRIDGE, THREE, until

from mininet_scenarios import namespaces
from mininet_scenarios.private_ovs import Daemon, PrivateOvs

CONTROLLER = "tcp:127.0.0.1:6640"


def host(ovs: PrivateOvs, name: str) -> None:
    ovs.vsctl("set", "Open_vSwitch", ".", f"external_ids:system-id={name}", wait=False)
    ovs.vsctl("set-manager", CONTROLLER, wait=False)


@pytest.fixture
def bench(bench, ovs):
    text = bench.config.read_text().replace(f'targets: ["{ovs.db_target}"]', "targets: [], listen: {}")
    bench.config.write_text(text)
    return bench


def test_a_host_registers_gets_its_bridge_and_comes_back(bench, ovs):
    """Also after the controller was killed, and the database server; nothing changes in the tables then."""
    bench.start()
    host(ovs, "host-a")
    assert until(lambda: BRIDGE in ovs.vsctl("list-br")), bench.said()
    assert until(lambda: [s["host"] for s in bench.switch()["items"] if s["connected"]] == ["host-a"]), bench.said()
    bench.add_port("v1", 1, app="a")
    bench.add_port("v2", 2, app="b")
    assert until(lambda: bench.apply(THREE)["realized"]["phase"] == "realized"), bench.said()
    assert until(lambda: len(bench.ask("GET", "/v1/live/endpoints")[1]["items"]) == 2)
    assert until(lambda: bench.ask("GET", "/v1/status")[1]["realized"]["phase"] == "realized"), bench.said()
    assert until(lambda: sum("dl_src=02:00:00:00:00:0" in flow for flow in bench.flows()) >= 2)
    flows = bench.flows()
    bench.stop(signal.SIGKILL)
    bench.start()
    assert until(bench.is_connected), bench.said()
    assert until(lambda: bench.ask("GET", "/v1/status")[1]["realized"]["phase"] == "realized"), bench.said()
    assert bench.has(flows)
    ovs.restart(Daemon.DATABASE, gently=False)
    assert until(lambda: "host-a: connected" in bench.said().rpartition("closed the connection")[2]), bench.said()
    assert bench.has(flows)
    assert bench.stop() == 0


def test_a_person_sets_things_up_by_hand(bench, ovs):
    """The command, REST, OVSDB and the switch: first a dry run, then the same in earnest, then nothing to do."""
    bench.start()
    host(ovs, "host-a")
    assert until(lambda: BRIDGE in ovs.vsctl("list-br")), bench.said()

    def ringfence(*words: str, code: int = 0) -> str:
        argv = [sys.executable, "-m", "cli.main", "ovsdb", *words, "--token-file", str(bench.state / "token")]
        with namespaces.entered(ovs.netns):
            done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    assert until(lambda: "connected" in ringfence("hosts"))
    assert "dials in" in ringfence("hosts")
    tunnel = ("set", "tunnels", "to-b", "type=geneve", "remote=127.0.0.2", "key=7", "options.csum=true")
    assert "create Interface to-b" in ringfence(*tunnel, "--dry-run")
    assert "to-b" not in ovs.vsctl("list-ports", BRIDGE).split()
    assert json.loads(ringfence(*tunnel, "--json"))["changed"] is True
    assert ovs.vsctl("get", "interface", "to-b", "options") == '{csum="true", key="7", remote_ip="127.0.0.2"}'
    assert "nothing to change" in ringfence(*tunnel)
    assert "max-rate=9000" in ringfence("set", "queues", "to-b", "maxRate=9000", "queues.1.minRate=5")
    assert ovs.vsctl("list", "queue").count("min-rate") == 1
    assert "targets" in ringfence("set", "sflow", 'targets=["127.0.0.1:6343"]')
    for words in (("queues", "to-b"), ("sflow",), ("tunnels", "to-b")):
        assert "changed" in ringfence("remove", *words)
    assert ovs.vsctl("list", "sflow") == ovs.vsctl("list", "qos") == ""
    ovs.vsctl("add-port", BRIDGE, "theirs", "--", "set", "interface", "theirs", "type=internal")
    assert "made by somebody else" in ringfence("remove", "ports", "theirs", code=3)
    assert "theirs" in ovs.vsctl("list-ports", BRIDGE).split()

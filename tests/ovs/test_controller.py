"""The whole controller as a process on a private Open vSwitch: it converges, keeps, and yields."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from controller_bench import BRIDGE, RUN, RYU_MANAGER, THREE, ControllerBench, until

from mininet_scenarios import namespaces
from mininet_scenarios.private_ovs import Daemon
from ryu_apps import wire

CUT_OFF = 2
"""Place in the rubbish of a frame whose rest may still come: its connection stays until the handshake is late."""
FOREIGN = "table=0,priority=65535,actions=NORMAL"


def converged(bench: ControllerBench) -> list[str]:
    """Start, plug two ports in, apply a policy; return the flows."""
    bench.start()
    assert until(lambda: BRIDGE in bench.ovs.vsctl("list-br"))
    bench.add_port("v1", 1, app="a")
    bench.add_port("v2", 2, app="b")
    assert until(lambda: bench.apply(THREE)["realized"]["phase"] == "realized")
    assert until(
        lambda: len({mac for flow in bench.flows() for mac in re.findall("dl_src=02:00:00:00:00:0.", flow)}) == 2
    )
    return bench.flows()


@pytest.mark.parametrize("command", [RUN, RYU_MANAGER], ids=["ringfence-run", "ryu-manager"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_clean_start_and_stop_with_both_commands(bench, command, number):
    bench.start(command)
    assert until(bench.is_connected)
    began_at = time.monotonic()
    assert bench.stop(number) == 0
    assert time.monotonic() - began_at < 30, "about a second, on a machine with nothing else to do"
    assert not re.search(r"WARNING|ERROR|Traceback|[Ww]arning|greened", bench.said()), bench.said()


def test_options_of_ryu_win_and_the_bridge_follows(bench):
    bench.start((*RYU_MANAGER, "--ofp-listen-host", "127.0.0.2", "--ofp-tcp-listen-port", "6700"))
    assert until(bench.is_connected)
    assert bench.ovs.vsctl("get-controller", BRIDGE) == "tcp:127.0.0.2:6700"


def certificates(directory: Path, *names: str) -> None:
    """Make an authority and a certificate for each name, as `name.key` and `name.crt`."""
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    for name in ("ca", *names):
        ca = [] if name == "ca" else ["-CA", "ca.crt", "-CAkey", "ca.key", "-addext", f"subjectAltName=DNS:{name}"]
        files = ["-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN={name}"]
        subprocess.run([*new, *ca, *files], cwd=directory, check=True, capture_output=True)


def test_switches_are_admitted_by_the_name_in_their_certificate(janitor, ovs):
    directory = janitor.directory()
    certificates(directory, "controller", "switch-1", "switch-2")
    tls = f"tls: {{key: {directory}/controller.key, cert: {directory}/controller.crt, ca: {directory}/ca.crt}}"
    openflow = f"openflow: {{port: 6653, {tls}, admission: {{names: [switch-1]}}}}\n"
    bench = ControllerBench(janitor, ovs)
    bench.config.write_text(bench.config.read_text().replace("openflow: {port: 6653}\n", openflow))
    bench.start()
    ovs.vsctl("set-ssl", *(str(directory / file) for file in ("switch-2.key", "switch-2.crt", "ca.crt")))
    assert until(lambda: "has none of openflow.admission.names" in bench.said()), bench.said()
    assert not any(s["connected"] for s in bench.switch()["items"])
    ovs.vsctl("set-ssl", *(str(directory / file) for file in ("switch-1.key", "switch-1.crt", "ca.crt")))
    assert until(bench.is_connected), bench.said()
    assert ovs.vsctl("get-controller", BRIDGE) == "ssl:127.0.0.1:6653"
    assert bench.stop() == 0


def test_bridge_is_secure_out_of_band_and_mended(bench):
    bench.start()
    assert until(bench.is_connected)
    bench.ovs.vsctl("set-fail-mode", BRIDGE, "standalone")
    assert until(lambda: bench.ovs.vsctl("get-fail-mode", BRIDGE) == "secure")
    hidden = bench.ovs.appctl("bridge/dump-flows", BRIDGE)
    assert "priority=180" not in hidden, "in-band control would stand above every flow of ours"


def test_restart_sends_nothing_when_nothing_changed(bench):
    flows = converged(bench)
    changes = bench.watch()
    bench.stop(signal.SIGKILL)
    bench.start()
    assert until(lambda: all(s["revision"] == 1 for s in bench.switch()["items"]) and bench.switch()["items"])
    time.sleep(1.5)  # a verification, too
    assert bench.flows() == flows
    assert not changes.changes(), changes.said()


def test_foreign_flow_is_removed_and_missing_one_restored(bench):
    flows = converged(bench)
    bench.ovs.ofctl("add-flow", BRIDGE, FOREIGN)
    bench.ovs.ofctl("add-flow", BRIDGE, "table=5,priority=7,metadata=0x1,actions=NORMAL")
    bench.ovs.ofctl("del-flows", BRIDGE, "table=4")
    assert until(lambda: bench.flows() == flows)
    assert "foreign" in bench.said()


def test_switch_killed_and_restarted_gets_its_flows_again(bench):
    flows = converged(bench)
    bench.ovs.restart(Daemon.SWITCH, gently=False)
    assert until(lambda: bench.has(flows)), bench.said()


def test_a_gone_port_leaves_no_flow(bench):
    converged(bench)
    bench.ovs.vsctl("del-port", BRIDGE, "v2")
    assert until(lambda: not any("02:00:00:00:00:02" in flow for flow in bench.flows()))


def test_second_instance_on_the_same_store_refuses_to_start(bench, janitor):
    bench.start()
    with bench.log.open("ab") as log:
        second = janitor.start([*RUN, "--config", str(bench.config)], where=bench.ovs.where, output=log)
    assert second.wait(60) == 3
    assert "in use by process" in bench.said()
    assert "Traceback" not in bench.said()


def test_a_stopped_controller_that_comes_back_changes_nothing(bench, janitor, ovs):
    """The second one runs on a copy of the store, so the first one's generation is stale."""
    converged(bench)
    second = ControllerBench(janitor, ovs, of_port=6654, rest_port=8182)
    bench.send(signal.SIGSTOP)
    bench.copy_store(second)
    second.start()
    targets = ["tcp:127.0.0.1:6653", "tcp:127.0.0.1:6654"]
    assert until(lambda: ovs.vsctl("get-controller", BRIDGE) == targets[1])
    second.send(signal.SIGSTOP)  # so that it does not mend what the next line does
    ovs.vsctl("set-controller", BRIDGE, *targets)
    second.send(signal.SIGCONT)
    assert until(lambda: any(s["revision"] == 1 for s in second.switch()["items"]))
    second.send(signal.SIGSTOP)
    ovs.vsctl("set-controller", BRIDGE, *targets)
    changes = second.watch()
    ovs.ofctl("add-flow", BRIDGE, FOREIGN)  # something that a master would set right
    bench.send(signal.SIGCONT)
    try:
        assert until(lambda: "another controller took over" in bench.said()), bench.said()
        time.sleep(1.5)
        assert changes.changes() == 1, "only the foreign flow itself"
    finally:
        second.process.kill()


def honest_echo_s(sock: socket.socket) -> float:
    """Return how long an echo takes on a connection that said a proper Hello."""
    began_at = time.monotonic()
    sock.sendall(wire.echo_request(77, b"alive?"))
    answer = b""
    while wire.echo_reply(77, b"alive?") not in answer:
        data = sock.recv(4096)
        assert data, "an honest connection is closed"
        answer += data
    return time.monotonic() - began_at


def test_rubbish_disturbs_no_echo_and_no_policy_change(bench, ovs):
    """Malformed frames close their own connection only."""
    converged(bench)
    rubbish = [
        bytes.fromhex("0500001000000001 0001000000000000"),  # a Hello element of length 0: hangs Ryu's parser
        bytes.fromhex("0500000400000001"),  # a length below the header's
        bytes.fromhex("05000008000000010513fff000000002") + bytes(16),  # a multipart reply cut off
        bytes.fromhex("ff00000800000001"),  # a version that does not exist
        bytes(4096),
    ]

    def connect() -> socket.socket:
        with namespaces.entered(ovs.netns):
            return socket.create_connection(("127.0.0.1", 6653), 30)

    echoes = []
    sockets = []
    for first in range(0, 200, 10):
        with connect() as honest:  # one for all would be closed if they took as long as a handshake may
            honest.sendall(wire.hello(1))
            for number in range(first, first + 10):
                sockets.append(connect())
                sockets[-1].sendall(rubbish[number % len(rubbish)])
            echoes.append(honest_echo_s(honest))
    print(f"echo while 200 bad frames arrive: longest {max(echoes) * 1000:.1f} ms")
    assert max(echoes) < 8, "a parser that hangs does so for ever"
    began_at = time.monotonic()
    assert bench.apply(THREE.replace("tcp/80", "tcp/81"))["realized"]["phase"] == "realized"
    assert time.monotonic() - began_at < 20
    for number, sock in enumerate(sockets):
        sock.settimeout(30)
        while number % len(rubbish) != CUT_OFF and sock.recv(4096):
            pass
        sock.close()
    assert bench.is_connected()
    assert "disconnected" not in bench.said()

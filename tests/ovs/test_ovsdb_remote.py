"""OVSDB over TCP and TLS, under threads and under eventlet."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mininet_scenarios.namespaces import entered
from mininet_scenarios.private_ovs import Daemon, PrivateOvs
from ovsdb import Tls, ensure_bridge
from tests.ovs.ovsdb_kit import GREEN, WAIT_S, WISH, Follower
from tests.ovs.pki_kit import make_pki
from topology.events import HostLost


@pytest.fixture(scope="module")
def pki(session_janitor) -> Path:
    """Keys and certificates of a server and a client, signed by one authority; and of a stranger."""
    return make_pki(session_janitor.directory(), "server", "client")


def tls(pki: Path, ca: str = "ca") -> Tls:
    return Tls(str(pki / "client-key.pem"), str(pki / "client.pem"), str(pki / f"{ca}.pem"))


@pytest.fixture(params=["tcp", "ssl"])
def remote(request, ovs: PrivateOvs, pki: Path, janitor) -> str:
    """The target of a further listener of the private server, in its namespace; the kernel chooses its port."""
    log = ovs.log(Daemon.DATABASE)
    if request.param == "ssl":  # the same server again, with keys
        files = {"private-key": "server-key.pem", "certificate": "server.pem", "ca-cert": "ca.pem"}
        options = [f"--{option}={pki / name}" for option, name in files.items()]
        ovs.stop_daemon(Daemon.DATABASE)
        with log.open("wb") as output:
            janitor.start([*ovs._argv(Daemon.DATABASE), *options], where=ovs.where, output=output)
        wait_for(lambda: ovs._answers(Daemon.DATABASE))
    ovs.vsctl("set-manager", f"p{request.param}:0:127.0.0.1", wait=False)
    port = wait_for(lambda: re.search(r"0:127.0.0.1: listening on port (\d+)", log.read_text()))[1]
    return f"{request.param}:127.0.0.1:{port}"


def wait_for(what):
    deadline = time.monotonic() + WAIT_S
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def test_the_client_follows_over_the_network(remote, ovs, pki):
    with entered(ovs.netns), Follower(remote, tls=tls(pki)) as follower:
        assert ensure_bridge(follower.client, WISH, wait_s=WAIT_S).changed
        follower.until(lambda: not follower.faults())
        ovs.vsctl("add-port", "br-ring", "p1", "--", "set", "interface", "p1", "type=internal")
        follower.until(lambda: "p1" in follower.names)


def test_it_runs_under_eventlet_without_stopping_others(remote, ovs, pki):
    files = tls(pki)
    argv = [sys.executable, "-W", "ignore", "-c", GREEN, remote, files.key, files.cert, files.ca]
    with entered(ovs.netns):
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout.strip(), done.returncode) == ("green", 0), done.stderr


@pytest.mark.parametrize("remote", ["ssl"], indirect=True)
def test_a_server_that_our_authority_did_not_sign_is_refused(remote, ovs, pki):
    with entered(ovs.netns):
        follower = Follower(remote, tls=tls(pki, "stranger"))
        follower.client.start()
        follower.until(lambda: follower.events)
        follower.client.stop()
    assert isinstance(follower.events[0], HostLost)
    assert "TLS handshake failed" in follower.events[0].reason
    assert not follower.site.complete

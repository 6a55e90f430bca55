"""The ground the other tests stand on: a private switch lives, is restarted, and leaves nothing."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from mininet_scenarios import namespaces
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.private_ovs import Daemon, PrivateOvs, SwitchCrashedError

PATIENCE_S = 60
"""A moment is usual, but the machine may be busy with other things."""


def ping(netns, address, wait_s=1):
    command = ["ip", "netns", "exec", netns, "ping", "-c1", f"-W{wait_s}", address]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_packets_cross_a_userspace_bridge(ovs, janitor):
    nics = [
        namespaces.Nic(janitor.netns(), f"v{n}", f"02:00:00:00:00:0{n}", (f"10.9.0.{n}", f"fd09::{n}")) for n in (1, 2)
    ]
    namespaces.plug(nics, ovs.netns)
    ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
    ovs.vsctl("add-port", "br0", "v1", "--", "add-port", "br0", "v2")
    assert ping(nics[0].netns, "10.9.0.2", PATIENCE_S)
    assert ping(nics[0].netns, "fd09::2", PATIENCE_S)
    ovs.ofctl("add-flow", "br0", "priority=9,icmp,actions=drop")
    ovs.appctl("revalidator/wait")  # until then packets may go on as before
    assert not ping(nics[0].netns, "10.9.0.2")


def test_daemons_restart_and_keep_their_database(ovs):
    ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
    before = ovs.pid(Daemon.SWITCH)
    ovs.restart(Daemon.DATABASE)
    ovs.restart(Daemon.SWITCH, gently=False)
    assert ovs.pid(Daemon.SWITCH) != before
    assert ovs.vsctl("list-br") == "br0"
    ovs.check()


def crashed(ovs):
    try:
        ovs.check()
    except SwitchCrashedError:
        return True
    return False


def test_a_dead_switch_is_a_crash(janitor):
    with PrivateOvs(janitor) as ovs:
        os.kill(ovs.pid(Daemon.SWITCH), signal.SIGSEGV)
        assert until(lambda: crashed(ovs)), "nobody noticed"
        ovs.kill(Daemon.SWITCH)


def test_entered_changes_the_namespace_of_this_thread_and_back(janitor):
    mine = Path("/proc/thread-self/ns/net")
    here = mine.readlink()
    with namespaces.entered(janitor.netns()):
        assert mine.readlink() != here
    assert mine.readlink() == here


RUN = textwrap.dedent("""
    import signal
    from mininet_scenarios.janitor import Janitor
    from mininet_scenarios.private_ovs import PrivateOvs
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    janitor = Janitor()
    print(janitor.run_id, flush=True)
    with PrivateOvs(janitor) as ovs:
        ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
        for _ in range(300):
            janitor.netns()
""")


@contextlib.contextmanager
def started(program, **environment):
    """A run of its own and its id, from its first line; it ends with the test, however that ends."""
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, **environment}
    )
    try:
        yield process, process.stdout.readline().decode().strip()
    finally:
        process.kill()
        process.wait(PATIENCE_S)
        process.stdout.close()


def leftovers(run_id):
    """Everything on this machine that carries the run's name or mark."""
    names = [str(p) for d in ("/tmp", "/run/netns") for p in Path(d).glob(f"*{run_id}*")]
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    names += [line for line in links.splitlines() if run_id in line]
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"RINGFENCE_RUN={run_id}".encode() in (entry / "environ").read_bytes():
                names.append((entry / "cmdline").read_text())
        except OSError:
            continue
    return names


def until(true, timeout_s=PATIENCE_S):
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def commands_below(pid):
    """The command lines of a process's children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [Path(f"/proc/{child}/cmdline").read_bytes() for child in children]


@pytest.mark.parametrize("delay_s", [0.0, 0.02, 0.06, 0.3])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_killed_run_leaves_nothing(real_parts, delay_s, number):
    with started(RUN) as (process, run_id):
        time.sleep(delay_s)
        process.send_signal(number)
        process.wait(PATIENCE_S)
    assert until(lambda: leftovers(run_id) == []), leftovers(run_id)


SLOW = """#!/bin/sh
case "$1 $2" in "netns add") sleep 0.3 ;; esac
exec {ip} "$@"
"""


def test_a_namespace_that_is_just_being_made_is_not_left_either(real_parts, tmp_path):
    """The run dies while `ip netns add` has yet to make what the watchdog must delete."""
    (tmp_path / "ip").write_text(SLOW.format(ip=shutil.which("ip")))
    (tmp_path / "ip").chmod(0o755)
    run = textwrap.dedent("""
        from mininet_scenarios.janitor import Janitor
        janitor = Janitor()
        print(janitor.run_id, flush=True)
        janitor.netns()
    """)
    path = f"{tmp_path}:{os.environ['PATH']}"
    with started(run, PATH=path) as (process, run_id):
        assert until(lambda: any(b"netns\0add" in command for command in commands_below(process.pid)))
        process.kill()
        process.wait(PATIENCE_S)
    time.sleep(0.5)  # longer than `ip` would have taken
    assert until(lambda: leftovers(run_id) == []), leftovers(run_id)


def test_closing_a_janitor_removes_what_it_made_before_it_returns(real_parts):
    with Janitor() as janitor:
        netns, directory = janitor.netns(), janitor.directory()
        process = janitor.start(["sleep", "1000"], where=janitor.surroundings(netns))
    assert process.returncode == -signal.SIGKILL
    assert not directory.exists()
    assert leftovers(janitor.run_id) == []

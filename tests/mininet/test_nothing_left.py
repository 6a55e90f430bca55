"""A demo that is interrupted or killed at any moment leaves no process, namespace, interface or file."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mininet_scenarios.janitor import Janitor
from tests.mininet import sandboxed
from tests.mininet.sandboxed import PROJECT

GONE_WITHIN_S = 30
"""On a machine that is busy with other things; a few seconds are usual."""
ROOM = """
import os, pathlib, time
from mininet_scenarios import sandbox
sandbox.hide(pathlib.Path("/run"))
os.mkdir("/run/tmp")
os.mkdir("/run/netns")
print("ready", flush=True)
time.sleep(1000)
"""


@pytest.fixture(scope="module")
def room():
    """The machine as the demo finds it, but with an empty /run and no interfaces: nobody else leaves things there."""
    sandboxed.need_tools()
    with Janitor() as janitor:
        process = janitor.start(["unshare", "--net", "--mount", sys.executable, "-c", ROOM], pipe=True)
        assert process.stdout.readline() == b"ready\n"
        yield ["nsenter", f"--target={process.pid}", "--net", "--mount"]


def processes(mark):
    """Every process that was started, at whatever remove, with our mark in its environment."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.add(int(entry.name))
        except OSError:
            continue
    return found


def stay_gone(mark):
    """Whether none is seen for a while: one that is just starting another program shows no environment."""
    deadline, looks = time.monotonic() + GONE_WITHIN_S, 0
    while looks < 5 and time.monotonic() < deadline:
        looks = 0 if processes(mark) else looks + 1
        time.sleep(0.05)
    return looks == 5


def things(room):
    """Every file, namespace and interface of the room."""
    look = "find /run | sort; ip -o link | cut -d: -f2"
    return subprocess.run([*room, "sh", "-c", look], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM], ids=lambda n: n.name)
@pytest.mark.parametrize("part", range(4))
def test_whatever_ends_the_demo(room, number, part):
    # A moment somewhere in one of four parts of the run; the failure says which.
    delay_s = round(0.05 + 1.5 * (part + random.random()), 3)
    moment = f"{number.name} after {delay_s} s"
    mark = f"{os.getpid()}-{number}-{delay_s}"
    before = things(room)
    # What is started in a shell's background would ignore SIGINT, and come to its end.
    minded = ["env", "--default-signal=INT", sys.executable, "-m", "mininet_scenarios.demo"]
    demo = subprocess.Popen(
        [*room, *minded],
        cwd=PROJECT,
        env={**os.environ, "RINGFENCE_TEST": mark, "TMPDIR": "/run/tmp"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(delay_s)
    assert processes(f"RINGFENCE_TEST={mark}")
    demo.send_signal(number)
    assert demo.wait(GONE_WITHIN_S), f"{moment}: it went on"
    assert stay_gone(f"RINGFENCE_TEST={mark}"), moment
    assert things(room) == before, moment

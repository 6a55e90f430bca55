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


def begin(room, mark):
    """Start the demo as whoever has a terminal would."""
    # What is started in a shell's background would ignore SIGINT, and come to its end.
    minded = ["env", "--default-signal=INT", sys.executable, "-m", "mininet_scenarios.demo"]
    return subprocess.Popen(
        [*room, *minded],
        cwd=PROJECT,
        env={**os.environ, "RINGFENCE_TEST": mark, "TMPDIR": "/run/tmp"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@pytest.mark.parametrize("part", range(4))
def test_whatever_ends_demos(room, part):
    """Each of three, which run beside each other, at a moment somewhere in one of four parts; a failure says when."""
    ends = {n: round(0.05 + 1.5 * (part + random.random()), 3) for n in (signal.SIGINT, signal.SIGKILL, signal.SIGTERM)}
    marks = {number: f"{os.getpid()}-{number}-{delay_s}" for number, delay_s in ends.items()}
    before, began = things(room), time.monotonic()
    demos = {number: begin(room, mark) for number, mark in marks.items()}
    for number, delay_s in sorted(ends.items(), key=lambda end: end[1]):
        time.sleep(max(began + delay_s - time.monotonic(), 0))
        assert processes(f"RINGFENCE_TEST={marks[number]}")
        demos[number].send_signal(number)
    for number, demo in demos.items():
        moment = f"{number.name} after {ends[number]} s"
        assert demo.wait(GONE_WITHIN_S), f"{moment}: it went on"
        assert stay_gone(f"RINGFENCE_TEST={marks[number]}"), moment
    assert things(room) == before, ends

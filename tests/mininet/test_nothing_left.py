"""A demo that is interrupted or killed at any moment leaves no process, namespace, interface or file."""

import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mininet_scenarios.janitor import Janitor
from tests.mininet import sandboxed
from tests.mininet.sandboxed import PROJECT

GONE_WITHIN_S = 90
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


MOMENTS = {"": 1.5, "starting the switch": 3.0, "applying the intents": 2.0, "taking everything down": 0.3}
"""Seconds within which a demo is ended, from the line of its own in which these words stand; from its start for none.

Counted from what it says, because a quick machine is through with the whole demo where a busy one has just begun.
"""


def begin(room, mark):
    """Start the demo as whoever has a terminal would."""
    # What is started in a shell's background would ignore SIGINT, and come to its end.
    minded = ["env", "--default-signal=INT", sys.executable, "-m", "mininet_scenarios.demo"]
    return subprocess.Popen(
        [*room, *minded],
        cwd=PROJECT,
        env={**os.environ, "RINGFENCE_TEST": mark, "TMPDIR": "/run/tmp"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def end_at(room, mark, number, words, delay_s):
    """Run a demo, end it that long after it said these words, and wait until it is gone."""
    demo = begin(room, mark)
    # Not read to its end: what would be left of it would hold the pipe, too.
    assert not words or any(words in line for line in demo.stdout), f"it never said {words!r}"
    time.sleep(delay_s)
    demo.send_signal(number)
    demo.wait(GONE_WITHIN_S)
    demo.stdout.close()
    assert stay_gone(f"RINGFENCE_TEST={mark}")


@pytest.mark.parametrize("words", MOMENTS, ids=["begun", "starting", "applying", "leaving"])
def test_whatever_ends_demos(room, words):
    """Each of three, which run beside each other, at a moment of one part of it; a failure says when."""
    before = things(room)
    with ThreadPoolExecutor() as pool:
        ends = {}
        for number in (signal.SIGINT, signal.SIGKILL, signal.SIGTERM):
            delay_s = round(random.uniform(0.05, MOMENTS[words]), 3)
            mark = f"{os.getpid()}-{number}-{delay_s}"
            ends[f"{number.name} {delay_s} s after {words!r}"] = pool.submit(end_at, room, mark, number, words, delay_s)
    failures = {moment: error for moment, end in ends.items() if (error := end.exception()) is not None}
    assert not failures
    assert things(room) == before, list(ends)

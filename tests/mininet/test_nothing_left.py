"""A demo that is interrupted or killed at any moment leaves no process, namespace, interface or file."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mininet_scenarios import private_ovs, system_mininet

PROJECT = Path(__file__).parents[2]
GONE_WITHIN_S = 10


@pytest.fixture(scope="module", autouse=True)
def tools():
    why = private_ovs.missing() or system_mininet.missing()
    if why is not None:
        pytest.skip(why)


def processes(mark):
    """Every process that was started, at whatever remove, with our mark in its environment."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = os.readlink(entry / "ns/net")
        except OSError:
            continue
    return found


def places(mark):
    """What a run could leave outside: files and interfaces, without those that were there before."""
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    names = {line.split(": ")[1] for line in links.splitlines()}
    return names | {str(path) for place in ("/tmp", "/run", "/run/netns") for path in Path(place).glob("*")}


@pytest.mark.parametrize("delay_s", [0.1, 0.35, 0.7, 1.2, 2.0, 3.0, 4.5])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM], ids=lambda n: n.name)
def test_whatever_ends_the_demo(number, delay_s):
    mark = f"RINGFENCE_TEST={os.getpid()}-{number}-{delay_s}"
    name, _, value = mark.partition("=")
    before = places(mark)
    demo = subprocess.Popen(
        [sys.executable, "-m", "mininet_scenarios.demo"],
        cwd=PROJECT,
        env={**os.environ, name: value},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(delay_s)
    assert processes(mark)
    demo.send_signal(number)
    demo.wait(GONE_WITHIN_S)
    deadline = time.monotonic() + GONE_WITHIN_S
    while processes(mark) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert processes(mark) == {}
    left = {place for place in places(mark) - before if "rf" in place or "ring" in place}
    assert left == set()

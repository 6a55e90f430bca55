"""Everything in `inside_*.py`, against a real dockerd of our own in a sandbox; skipped where none can run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mininet_scenarios import docker_host

PROJECT = Path(__file__).parents[2]
TIMEOUT_S = 3 * 3600
CODE = "import sys; from mininet_scenarios import docker_host; sys.exit(docker_host.run_inside(sys.argv[1:]))"
SUITES = {"daemon": 9, "outside": 12, "proofs": 6}
"""With how many tests of each pass at least."""


@pytest.fixture(scope="module", autouse=True)
def tools():
    why = docker_host.missing()
    if why is not None:
        pytest.skip(why)


@pytest.mark.parametrize("suite", SUITES)
def test_a_real_daemon_with_real_packets(suite):
    words = [f"tests/docker/inside_{suite}.py", "-v", "--durations=8", "-s"]
    done = subprocess.run(
        [sys.executable, "-c", CODE, sys.executable, "-m", "tests.docker.inside", *words],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    print(done.stdout[-20000:])
    assert done.returncode == 0, done.stdout[-12000:] + done.stderr[-4000:]
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= SUITES[suite]


def test_the_demo_of_the_compose_example():
    command = [sys.executable, "-m", "mininet_scenarios.demo", "--scenario", "docker_shop"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "demo: 240/240 cells as intended"

"""The topologies work the usual way: `mn --custom mininet_scenarios/topologies.py --topo … --controller remote`."""

import subprocess
import sys
from pathlib import Path

import pytest

from mininet_scenarios import private_ovs, system_mininet

PROJECT = Path(__file__).parents[2]


def test_mininets_own_command_plugs_our_workloads():
    why = private_ovs.missing() or system_mininet.missing()
    if why is not None:
        pytest.skip(why)
    done = subprocess.run(
        [sys.executable, "-m", "mininet_scenarios.sandbox", "tests.mininet.mn_inside"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    pings = [line for line in said.splitlines() if " packets transmitted" in line]
    # By the intents, the web tier may ping the application tier and not the database.
    assert ["1 received" in line for line in pings] == [True, False], said
    assert "ports left: []" in said

"""The topologies work the usual way: `mn --custom mininet_scenarios/topologies.py --topo … --controller remote`."""

import os

from tests.mininet import sandboxed


def test_mininets_own_command_plugs_our_workloads():
    for _ in range(3):
        done = sandboxed.run("mn_inside")
        if done.returncode != os.EX_TEMPFAIL:  # its telnet was so slow that it was greeted
            break
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    pings = [line for line in said.splitlines() if " packets transmitted" in line]
    # By the intents, the web tier may ping the application tier and not the database.
    assert ["1 received" in line for line in pings] == [True, False], said
    assert "ports left: []" in said

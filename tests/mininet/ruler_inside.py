"""Runs inside a sandbox, started by test_ruler.py: measure bridges whose behaviour is known."""

import json
import sys

from mininet_scenarios import forging, measuring, sandbox, scenario
from mininet_scenarios.expectation import Judge, cells, initial
from mininet_scenarios.network import Ground

LAB, SPOOFING = scenario.load("dual_stack"), scenario.load("spoofing")
BRIDGES = {
    "open": ["priority=1,actions=NORMAL"],
    "one-way": [
        "priority=1,actions=NORMAL",
        "priority=9,tcp,tp_src=443,actions=drop",
        "priority=9,udp6,tp_dst=53,actions=drop",
    ],
    "flooding": ["arp,actions=NORMAL", "ip,actions=FLOOD"],
    "closed": [],
}


def frames_through_a_hub():
    """Where each raw frame arrives when the switch sends everything everywhere."""
    world = initial(SPOOFING)
    with Ground(SPOOFING) as ground:
        ground.ovs.ofctl("del-flows", SPOOFING.bridge)
        ground.ovs.ofctl("add-flow", SPOOFING.bridge, "actions=FLOOD")
        ground.ovs.appctl("revalidator/wait")
        found = measuring.frames(ground.agents, list(forging.forgeries(world, SPOOFING.forge)), Judge(world))
    return [[one.forged.title, one.forged.sender, one.arrived] for one in found]


def main():
    sandbox.enter()
    asked = cells(initial(LAB), LAB.probes)
    seen = {"frames": frames_through_a_hub()}
    with Ground(LAB) as ground:
        for name, flows in BRIDGES.items():
            ground.ovs.ofctl("del-flows", LAB.bridge)
            for flow in flows:
                ground.ovs.ofctl("add-flow", LAB.bridge, flow)
            # Until then the datapath may go on with what the tables said before.
            ground.ovs.appctl("revalidator/wait")
            found = measuring.matrix(ground.agents, asked, 0.7)
            seen[name] = [[str(c.probe), c.version, found[c].outcome] for c in asked]
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()

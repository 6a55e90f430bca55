"""Runs inside a sandbox, started by test_mn.py: Mininet's own command with our topology file."""

import os
import sys

from mininet_scenarios import sandbox, scenario, shell
from mininet_scenarios.controller import PROJECT, Controller, Settings
from mininet_scenarios.expectation import initial
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.private_ovs import PrivateOvs

COMMANDS = """\
sh sleep 1
web1 ping -c1 -W1 app1
web1 ping -c1 -W1 db1
"""


def main():
    sandbox.enter()
    told = scenario.load("three_tier")
    with Janitor() as janitor, PrivateOvs(janitor, isolated=False) as ovs:
        os.environ.update(ovs.env)
        controller = Controller(janitor, Settings(ovs.db_target))
        controller.start()
        controller.wait()
        controller.rest.apply(initial(told).documents.values())
        script = janitor.directory() / "commands"
        script.write_text(COMMANDS)
        topologies = PROJECT / "mininet_scenarios" / "topologies.py"
        words = ["mn", "--custom", str(topologies), "--topo", "ringfence_three_tier", "--controller", "remote"]
        done = shell.start([*words, "--pre", os.devnull, "--test", "none", "--post", str(script)], output=sys.stdout)
        code = done.wait(60)
        print("ports left:", ovs.vsctl("list-ports", "br-ring").split())
    return code


if __name__ == "__main__":
    sys.exit(main())

"""Runs inside a sandbox, started by test_mn.py: Mininet's own command with our topology file."""

import os
import sys
import time

from mininet_scenarios import sandbox, scenario
from mininet_scenarios.controller import PROJECT, Controller, Settings
from mininet_scenarios.expectation import initial
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.private_ovs import PrivateOvs

PATIENCE_S = 60
COMMANDS = """\
sh {wait}
web1 ping -c1 -W10 app1
web1 ping -c1 -W1 db1
"""
WAIT = """
import sys, time
from pathlib import Path
from mininet_scenarios.rest import Rest
rest, names = Rest("127.0.0.1", {port}, Path("{token}")), set("{names}".split())
give_up_at = time.monotonic() + 60
while rest.call("GET", "/v1/status")["realized"]["phase"] != "realized" or names - {{
    item["name"] for item in rest.call("GET", "/v1/live/endpoints")["items"]
}}:
    assert time.monotonic() < give_up_at
    time.sleep(0.05)
time.sleep(0.3)
"""
"""Until the controller knows every workload, and a moment more: what was plugged last is on its way to the switch."""


def ended(mn, said):
    """Wait for its end; return its exit code, or EX_TEMPFAIL if it gets stuck before it makes anything of ours."""
    give_up_at = time.monotonic() + PATIENCE_S
    while b"*** Adding hosts" not in said.read_bytes() and mn.poll() is None:
        if time.monotonic() > give_up_at:
            return os.EX_TEMPFAIL
        time.sleep(0.05)
    return mn.wait(5 * PATIENCE_S)


def main():
    sandbox.enter()
    told = scenario.load("three_tier")
    with Janitor() as janitor, PrivateOvs(janitor, isolated=False) as ovs:
        os.environ.update(ovs.env)
        controller = Controller(janitor, Settings(ovs.db_target))
        controller.start()
        controller.wait()
        controller.rest.apply(initial(told).documents.values())
        settings = Settings(ovs.db_target)
        waiting = janitor.directory() / "wait.py"
        token = controller.state_dir / "token"
        waiting.write_text(WAIT.format(port=settings.rest_port, token=token, names=" ".join(initial(told).live())))
        script = janitor.directory() / "commands"
        script.write_text(COMMANDS.format(wait=f"env PYTHONPATH={PROJECT} {sys.executable} {waiting}"))
        topologies = PROJECT / "mininet_scenarios" / "topologies.py"
        words = ["mn", "--custom", str(topologies), "--topo", "ringfence_three_tier", "--controller", "remote"]
        said = janitor.directory() / "said"
        with said.open("wb") as output:
            mn = janitor.start([*words, "--pre", os.devnull, "--test", "none", "--post", str(script)], output=output)
        code = ended(mn, said)
        print(said.read_text())
        print("ports left:", ovs.vsctl("list-ports", "br-ring").split())
    return code


if __name__ == "__main__":
    sys.exit(main())

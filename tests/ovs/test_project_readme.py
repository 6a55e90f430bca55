"""What the README shows under "Use it", typed as it stands there, against a private switch and the real controller."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mininet_scenarios import shell
from mininet_scenarios.controller import Controller, Settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
(ADD_PORT,) = re.findall(r"^ovs-vsctl add-port (?:.*\\\n)*.*", README, re.MULTILINE)
(DOCUMENTS,) = re.findall(r"^```yaml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def add_port(ovs, command, *options):
    private = f"ovs-vsctl --timeout=60 --db={ovs.db_target} {' '.join(options)}"
    subprocess.run(["bash", "-c", command.replace("ovs-vsctl", private, 1)], check=True, timeout=90)


def test_adding_a_port_as_the_readme_shows(ovs):
    ovs.vsctl("add-br", "br-ring", "--", "set", "bridge", "br-ring", "datapath_type=netdev")
    add_port(ovs, ADD_PORT, "--no-wait")
    said = ovs.vsctl("--format=json", "--columns=external_ids", "list", "Interface", "v1")
    ((kind, pairs),) = json.loads(said)["data"][0]
    assert kind == "map"
    assert dict(pairs) == {
        "iface-id": "web-1",
        "attached-mac": "02:00:00:00:00:01",
        "ringfence:ip": "10.1.0.1 fd00:1::1",
        "ringfence:network": "shop",
        "ringfence:label/app": "shop",
        "ringfence:label/tier": "web",
    }


@pytest.fixture
def ringfence(janitor, ovs):
    """A function that runs the command beside a running controller, and returns what it says."""
    controller = Controller(janitor, Settings(ovs.db_target), netns=ovs.netns)
    controller.start()
    settings = {"RINGFENCE_TOKEN_FILE": str(controller.state_dir / "token"), "PYTHONPATH": str(ROOT)}
    where = janitor.surroundings(ovs.netns, settings)

    def run(*words, text=""):
        return shell.run([sys.executable, "-m", "cli.main", *words], text=text, where=where)

    run("status", "--wait")
    yield run
    assert controller.stop() == 0


def test_from_two_ports_and_the_readmes_intents_to_a_verdict(janitor, ovs, ringfence):
    app = {"v1": "v2", "web-1": "app-1", '"=web': '"=app', "10.1.0.1 fd00:1::1": "10.1.0.2", ":00:01": ":00:02"}
    for name in ("v1", "v2"):
        shell.run(["ip", "-n", ovs.netns, "link", "add", name, "type", "veth", "peer", "name", f"{name}p"])
    add_port(ovs, ADD_PORT)
    add_port(ovs, re.sub("|".join(map(re.escape, app)), lambda found: app[found[0]], ADD_PORT))
    assert "realized on 1/1 switches" in ringfence("apply", "-f", "-", "--wait", text=DOCUMENTS)
    assert "web-to-app" in ringfence("verdict", "web-1", "app-1", "tcp/8080")
    with pytest.raises(shell.CommandError, match="exit code 1: deny"):
        ringfence("verdict", "app-1", "web-1", "tcp/8080")

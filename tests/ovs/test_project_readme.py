"""The README's way of adding a port, typed as it stands there, says what it should to a real database."""

import json
import re
import subprocess
from pathlib import Path

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def test_adding_a_port_as_the_readme_shows(ovs):
    ovs.vsctl("add-br", "br-ring", "--", "set", "bridge", "br-ring", "datapath_type=netdev")
    (command,) = re.findall(r"^ovs-vsctl add-port (?:.*\\\n)*.*", README, re.MULTILINE)
    private = f"ovs-vsctl --no-wait --db={ovs.db_target}"
    subprocess.run(["bash", "-c", command.replace("ovs-vsctl", private, 1)], check=True, timeout=20)
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

"""The page for who begins, typed as it stands there: against a private switch and the real controller, with packets."""

import re
import shlex
import sys
from pathlib import Path

from mininet_scenarios import shell
from mininet_scenarios.controller import Controller, Settings

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "first-steps.md").read_text()
BLOCKS = re.findall(r"^```(sh|text)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_says_what_happens(janitor, ovs):
    controller = Controller(janitor, Settings(ovs.db_target), netns=ovs.netns)
    controller.start()
    settings = {"RINGFENCE_TOKEN_FILE": str(controller.state_dir / "token"), "PYTHONPATH": str(ROOT)}
    where = janitor.surroundings(ovs.netns, settings)
    shell.run([sys.executable, "-m", "cli.main", "status", "--wait"], where=where)
    python, target = shlex.quote(sys.executable), shlex.quote(ovs.db_target)
    ahead = [
        "mount -t tmpfs tmpfs /run && mkdir /run/netns",  # names of namespaces of its own, which end with the script
        f"cd {shlex.quote(str(janitor.directory()))}",
        f'ringfence() {{ {python} -m cli.main "$@"; }}',
        f'ovs-vsctl() {{ command ovs-vsctl --timeout=60 --db={target} "$@"; }}',
        "set -eu",
    ]
    script = "\n".join([*ahead, *(text for kind, text in BLOCKS if kind == "sh")])
    said = shell.run(["unshare", "--mount", "bash", "-c", script], where=where, timeout_s=120).splitlines()
    assert controller.stop() == 0
    left = iter(said)
    for line in (line for kind, text in BLOCKS if kind == "text" for line in text.splitlines()):
        assert line in left, f"{line!r} is not said, or not in this order:\n" + "\n".join(said)

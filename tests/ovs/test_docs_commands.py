"""What docs/pipeline.md tells people to type works on a real bridge, and shows what the page says it shows."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from intent.compiler import IdMap, allocate, compile_program
from intent.compiler.interpreter import Conntrack, Interpreter
from intent.compiler.verdict import meters
from mininet_scenarios.forging import Forged
from mininet_scenarios.private_ovs import Daemon
from scripts.example import DPID, read
from scripts.pipeline_page import without_observed
from scripts.pipeline_walk import SCENES, STATES
from tests.ovs.raw_switch import RawSwitch, flow_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from intent.compiler.flow import Program

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/pipeline.md").read_text()
COMMANDS = re.findall(r"^(?:flows|ovs-ofctl|ovs-appctl).*$", PAGE, re.MULTILINE)
STEP = re.compile(r"^\s*(\d+)\. .*cookie (0x\w+)", re.MULTILINE)
ISOLATION, SOURCE = "0x5206020000000001", "0x5202000000000002"


def compiled() -> tuple[IdMap, Program]:
    example = read((ROOT / "scripts/pipeline.yaml").read_text(), source="pipeline.yaml")
    ids = allocate(*example, IdMap(), 0)
    return ids, compile_program(*without_observed(example), DPID, ids)


@pytest.fixture
def shell(session_ovs, unique_bridge) -> Iterator[Callable[[str], str]]:
    """The page's example on a bridge, and a shell in which the page's names mean this bridge."""
    raw = RawSwitch(session_ovs, unique_bridge, 2)
    _, program = compiled()
    for meter, rate in meters(program).items():
        session_ovs.ofctl("add-meter", unique_bridge, f"meter={meter},pktps,band=type=drop,rate={rate}")
    raw.install(program)
    (helper,) = re.findall(r"^flows\(\).*$", PAGE, re.MULTILINE)

    def run(command: str) -> str:
        script = f'set -e\novs-appctl() {{ command ovs-appctl --target={session_ovs.socket(Daemon.SWITCH)} "$@"; }}\n'
        script += f"{helper}\n{command} || test $? = 1\n"  # grep says 1 where there is nothing
        here = re.sub(r"in_port=v1\b", f"in_port={unique_bridge}p1", script).replace("br-ring", unique_bridge)
        path = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **session_ovs.env}
        done = subprocess.run(["bash", "-c", here], env=path, capture_output=True, text=True, check=False, timeout=90)
        assert done.returncode == 0, done.stderr
        assert not done.stderr, done.stderr
        return done.stdout

    yield run
    session_ovs.ofctl("del-meters", unique_bridge)
    raw.close()


def test_every_command_runs(shell):
    assert len(COMMANDS) >= 12
    for command in COMMANDS:
        if not command.startswith("flows()"):
            shell(command)


def test_every_walk_is_the_way_that_open_vswitch_traces(shell):
    (trace,) = [c for c in COMMANDS if "ofproto/trace" in c]
    ids, program = compiled()
    walked = Conntrack()
    for scene in SCENES:
        if scene.quoted:
            continue  # a trace cannot be told which connection an error quotes
        view = walked.view(ids.number("network", "shop"), scene.frame, None)
        expected = Interpreter(program).run(scene.frame, walked)
        words = flow_text(scene.frame, view).replace("in_port=1,", "in_port=v1,")
        state = ",".join(word for bit, word in STATES if view.state & bit)
        told = shell(re.sub(r"'[^']*' --ct-next .*", f"'{words}' --ct-next {state}", trace))
        way = [(int(table), int(value, 16)) for table, value in STEP.findall(told)]
        assert way == list(zip((key.table for key in expected.trail), expected.cookies, strict=True)), scene.title


def test_the_counters_say_what_was_dropped_and_why(shell):
    frames = {scene.title: scene.frame for scene in SCENES}
    for title in ("Denied", "Forged"):
        packet = Forged("web-1", title, frames[title], 1).to_bytes().hex()
        shell(f"ovs-ofctl -O OpenFlow14 packet-out br-ring 'in_port=v1,packet={packet},actions=table'")
    dropped = shell("flows | grep -E 'actions=[^,]*,goto_table:109'")
    assert set(re.findall(r"cookie=(0x\w+)", dropped)) == {ISOLATION, SOURCE}

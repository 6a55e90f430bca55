"""Every scenario, with real packets, against the semantics: not one cell, frame or stream may differ."""

import json
import subprocess
import sys

import pytest

from mininet_scenarios import failover, scenario
from tests.mininet import sandboxed
from tests.mininet.sandboxed import PROJECT, TIMEOUT_S


@pytest.fixture(scope="module", autouse=True)
def tools():
    sandboxed.need_tools()


def demo(*words):
    return subprocess.run(
        [sys.executable, "-m", "mininet_scenarios.demo", *words],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.mark.parametrize("name", scenario.names())
def test_packets_do_what_the_intents_say(name):
    done = demo("--scenario", name, "--json")
    assert done.stdout, done.stderr
    result = json.loads(done.stdout)
    wrong = [one for phase in result["phases"] for one in phase["unintended"]] + result["frames"]["unintended"]
    assert wrong == []
    assert [one for one in result["streams"] if not one["as_intended"]] == []
    assert done.returncode == 0
    assert result["passed"] is True
    assert result["cells"] == result["as_intended"] > 0
    # A matrix in which everything or nothing passes proves little.
    assert all(0 < phase["open"] < phase["cells"] for phase in result["phases"])
    if name == "spoofing":
        assert 0 < result["frames"]["arrived"] < result["frames"]["sent"]
    if name == "churn":
        assert {one["expected"] for one in result["streams"]} == {"open", "blocked", "changing"}


def test_a_wire_of_a_fat_tree_breaks_and_next_to_nothing_is_lost():
    done = demo("--scenario", failover.NAME, "--json")
    assert done.stdout, done.stderr
    result = json.loads(done.stdout)
    assert result["unintended"] == []
    assert result["cells"] == result["as_intended"] == (3 + len(failover.FAULTS)) * 8 * 7 * len(failover.PORTS)
    assert max(result["outages_ms"]) <= failover.ALLOWED_S * 1000
    assert done.returncode == 0


def test_the_demo_tells_what_it_does():
    done = demo()
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    for heading in ("Topology: ", "Intents", "IPv4, the intents as written", "What changed: "):
        assert any(line.startswith(heading) for line in lines), heading
    counted, _, rest = lines[-1].removeprefix("demo: ").partition("/")
    assert rest == f"{counted} cells as intended"


def test_an_unknown_scenario_is_named():
    done = demo("--scenario", "nowhere")
    assert done.returncode == 2
    assert "nowhere.yaml" in done.stderr
    assert "three_tier" in done.stderr

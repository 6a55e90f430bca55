"""Runs a module of these tests in a sandbox: Mininet's root namespace must not be the machine's."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mininet_scenarios import private_ovs, system_mininet

PROJECT = Path(__file__).parents[2]
TIMEOUT_S = 900
"""Only what hangs takes so long: a minute is usual, and the machine may be slow and busy."""


def need_tools():
    """Skip, with the reason, where no private Open vSwitch or no Mininet can run."""
    why = private_ovs.missing() or system_mininet.missing()
    if why is not None:
        pytest.skip(why)


def run(module, *words):
    """Run it with these words to its end."""
    need_tools()
    return subprocess.run(
        [sys.executable, "-m", "mininet_scenarios.sandbox", f"tests.mininet.{module}", *words],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def found(module, *words):
    """Run it, and read what it found: its output is one JSON object."""
    done = run(module, *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)

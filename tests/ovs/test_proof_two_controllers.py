"""Of two controllers, the one that was stopped and continued changes nothing, and says so."""

from __future__ import annotations

import signal
import time

import pytest

from tests.ovs.controller_bench import BRIDGE, ControllerBench, until
from tests.soak.field import Field, policy

OPEN = policy("p", "allow web app udp/5001")
SHUT = policy("p", "allow web app udp/9")
BOTH, OLD, NEVER = 1, 2, 3
STALE = "another controller took over"


@pytest.fixture
def field(janitor, ovs):
    return Field(janitor, ovs, ["web", "app"])


def second_controller(field: Field) -> ControllerBench:
    """Start another controller on a copy of the store, as a backup restored by mistake would be."""
    second = ControllerBench(field.janitor, field.ovs, of_port=6654, rest_port=8182)
    field.bench.copy_store(second)
    second.start()
    assert until(lambda: field.ovs.vsctl("get-controller", BRIDGE) == "tcp:127.0.0.1:6654"), second.said()
    assert until(lambda: any(s["revision"] for s in second.switch()["items"])), second.said()
    return second


def test_a_stale_controller_changes_no_flow(field, figure):
    """Nobody helps: both have keepers that want the bridge to be theirs."""
    field.start(OPEN)
    first = field.bench
    first.send(signal.SIGSTOP)
    second = second_controller(field)
    second.apply(OPEN.replace("5001", "5001, udp/5002"))
    streams = [
        field.stream(BOTH, "udp", "web", "app", 5001, interval_s=0.002),
        field.stream(NEVER, "udp", "app", "web", 5001, driver="client"),
    ]
    field.traffic.open(streams, but=[NEVER])
    field.traffic.ask("drive", ids=[BOTH, NEVER])
    time.sleep(1)
    watch = field.watch()
    first.send(signal.SIGCONT)
    assert until(lambda: STALE in first.said()), first.said()
    first.ask("POST", "/v1/apply", SHUT)  # somebody who does not know asks the wrong one
    time.sleep(1)
    told = first.said()
    assert until(lambda: any(s["connected"] and s["revision"] for s in second.switch()["items"])), second.said()
    time.sleep(5)
    assert "made right" not in first.said().removeprefix(told), "it leaves the bridge to the other one"
    assert field.ovs.vsctl("get-controller", BRIDGE) == "tcp:127.0.0.1:6654"
    record = field.traffic.report()
    figure("two controllers: flow changes by the stale one", watch.changes(), "changes", at_most=0)
    figure("two controllers: allowed datagrams lost", record.lost([BOTH]), "datagrams", at_most=0)
    figure("two controllers: forbidden datagrams delivered", record.delivered([NEVER]), "datagrams", at_most=0)
    assert second.apply(OPEN)["realized"]["phase"] == "realized"
    assert STALE in str(first.switch())

"""Restarts of Open vSwitch and of its database under traffic: nothing forbidden passes, and it converges again."""

from __future__ import annotations

import itertools
import time

import pytest

from mininet_scenarios.private_ovs import Daemon
from tests.ovs.controller_bench import until
from tests.soak.field import Field, policy
from tests.soak.record import Flow, Record

OPEN = policy("p", "allow web app tcp/80", "allow web app udp/5001")
TCP, UDP, RENEWED = 1, 2, 3
FORBIDDEN = (10, 11, 12, 13)
AGAIN_S = 60
RESENT_S = 60
"""By when TCP has sent again what was lost: after 0.2, 0.4, 0.8, ... s, by how long the switch was away."""


@pytest.fixture
def field(janitor, ovs):
    return Field(janitor, ovs, ["web", "app", "vault"])


def drive(field: Field) -> None:
    often = {"driver": "client", "interval_s": 0.002}
    streams = [
        field.stream(TCP, "tcp", "web", "app", 80),
        field.stream(UDP, "udp", "web", "app", 5001, interval_s=0.002),
        field.stream(RENEWED, "udp", "web", "app", 5001, driver="client", renew=3),
        field.stream(10, "udp", "web", "vault", 5001, **often),
        field.stream(11, "udp", "app", "web", 5001, **often),
        field.stream(12, "udp", "vault", "app", 5001, **often, renew=5),
        field.stream(13, "knock", "app", "vault", 80, driver="client", interval_s=0.01),
    ]
    field.traffic.open(streams, but=FORBIDDEN)
    field.traffic.ask("guard", netns=field.netns["vault"], interface="eth0", sources=[])
    field.traffic.ask("drive", ids=[s["id"] for s in streams])
    time.sleep(0.5)


def report(field: Field) -> Record:
    """Return what became of everything, once TCP has sent again what was lost."""
    give_up_at = time.monotonic() + RESENT_S
    while (record := field.traffic.report(1)).lost([TCP]) and time.monotonic() < give_up_at:
        continue
    return record


@pytest.mark.parametrize("gently", [True, False], ids=["stopped", "killed"])
def test_switch_restarted_under_traffic(field, effort, figure, gently):
    restarts = effort(short=1, full=5)
    how = "stopped" if gently else "killed"
    field.start(OPEN)
    drive(field)
    back, flows = [], field.bench.flows()
    for _ in range(restarts):
        field.ovs.restart(Daemon.SWITCH, gently=gently)
        began_at = time.monotonic()
        assert until(lambda: field.bench.flows() == flows, AGAIN_S), field.bench.said()
        back.append(time.monotonic() - began_at)
        time.sleep(1.5)
    record = report(field)
    leaked = record.delivered(FORBIDDEN) + len(record.caught)
    figure(f"restart: switch {how} and started under traffic", restarts, "times")
    figure(f"restart: forbidden packets delivered, switch {how}", leaked, "packets", at_most=0)
    figure(f"restart: longest time to the same flows again, switch {how}", round(max(back), 2), "s", at_most=AGAIN_S)
    assert not record.broken([TCP])
    assert record.lost([TCP]) == 0
    for flow in record.of([TCP, UDP, RENEWED]):
        assert flow.arrived(begin=flow.sent[-1] - 0.5), "allowed streams run again"


def test_database_restarted_under_traffic(field, effort, figure):
    restarts = effort(short=2, full=10)
    field.start(OPEN)
    drive(field)
    watch, began_at = field.watch(), time.monotonic()
    for number in range(restarts):
        field.ovs.restart(Daemon.DATABASE, gently=number % 2 == 0)
        time.sleep(3)
    assert until(lambda: field.bench.ask("GET", "/v1/health")[1])
    assert until(field.realized), field.bench.said()
    assert len(field.live()) == 3
    record = report(field)
    leaked = record.delivered(FORBIDDEN) + len(record.caught)
    figure("restart: database stopped or killed and started under traffic", restarts, "times")
    figure("restart: forbidden packets delivered, database", leaked, "packets", at_most=0)
    figure("restart: flow changes, database", watch.changes(), "changes", at_most=0)
    assert not record.broken([TCP])
    assert record.lost([TCP]) == 0
    # ovs-vswitchd without a database polls no port of a userspace datapath that has no threads of its own
    # (bridge_run returns early), and connects again after 1 to 8 s: that much is lost without any controller, too.
    pause_s = max(longest_pause_s(flow, began_at) for flow in record.of([UDP]))
    figure("restart: longest pause of allowed datagrams, database", round(pause_s, 2), "s", at_most=15)


def longest_pause_s(flow: Flow, begin: float) -> float:
    """Return the longest time in which nothing arrived."""
    return max((after - before for before, after in itertools.pairwise(flow.arrived(begin))), default=0.0)

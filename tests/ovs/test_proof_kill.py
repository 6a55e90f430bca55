"""A controller that is killed at any moment costs no allowed packet, lets no forbidden one pass, and sends nothing."""

from __future__ import annotations

import random
import signal
import time

import pytest

from tests.ovs.controller_bench import until
from tests.ovs.flow_watch import Watch
from tests.soak.field import Field, policy

OPEN = policy("open", "allow web app tcp/80", "allow web app udp/5001")
ALLOWED_TCP, ALLOWED_UDP, FORBIDDEN = range(4), range(10, 16), range(20, 26)
OUTSIDER_MAY = policy("control", "allow outsider app udp/5001", "allow outsider app tcp/80")


@pytest.fixture
def field(janitor, ovs):
    return Field(janitor, ovs, ["web", "app", "vault", "outsider"])


def drive(field: Field) -> None:
    """Start allowed streams of both directions, some with ever new connections, and forbidden probes."""
    tcp = [field.stream(n, "tcp", "web", "app", 80) for n in ALLOWED_TCP]
    udp = [field.stream(n, "udp", "web", "app", 5001, interval_s=0.002) for n in ALLOWED_UDP[:3]]
    renewed = [field.stream(n, "udp", "web", "app", 5001, driver="client", renew=10) for n in ALLOWED_UDP[3:]]
    pairs = [("web", "vault"), ("outsider", "app"), ("app", "web")]
    probes = [field.stream(n, "udp", *pair, 5001, driver="client") for n, pair in zip(FORBIDDEN, pairs, strict=False)]
    knocks = [
        field.stream(n, "knock", *pair, 80, driver="client", interval_s=0.01)
        for n, pair in zip(FORBIDDEN[3:], pairs, strict=False)
    ]
    streams = [*tcp, *udp, *renewed, *probes, *knocks]
    field.traffic.open(streams, but=FORBIDDEN)
    field.traffic.ask("guard", netns=field.netns["vault"], interface="eth0", sources=[])
    field.traffic.ask("guard", netns=field.netns["app"], interface="eth0", sources=[field.address("outsider")])
    field.traffic.ask("drive", ids=[s["id"] for s in streams])


def test_killed_controller_loses_and_leaks_nothing_and_sends_nothing(field, effort, figure):
    kills, chance = effort(short=3, full=20), random.Random(2)
    field.start(OPEN)
    drive(field)
    watch, flows = field.watch(), field.bench.flows()
    changed_before = field.coverage("rev_flow_table")
    outages = []
    for _ in range(kills):
        time.sleep(chance.uniform(0, 1.2))
        field.bench.stop(signal.SIGKILL)
        began_at = time.monotonic()
        time.sleep(chance.uniform(0, 0.5))
        field.bench.start()
        if chance.random() < 0.3:  # also in the middle of reading the switch
            continue
        assert until(field.realized, 60), field.bench.said()
        outages.append(time.monotonic() - began_at)
    assert until(field.realized, 60), field.bench.said()
    time.sleep(1.5)  # a verification, too
    assert field.bench.flows() == flows
    touched = field.coverage("rev_flow_table") - changed_before
    record = field.traffic.report()
    allowed = [*ALLOWED_TCP, *ALLOWED_UDP]
    assert not record.broken(allowed)
    assert not field.own_drops(), "the proof itself could not keep up: give it a less busy machine"
    figure("kill: controllers killed under traffic", kills, "kills", at_least=kills)
    figure("kill: allowed messages sent", record.sent(allowed), "messages", at_least=1000 * kills)
    figure("kill: allowed UDP datagrams lost", record.lost(ALLOWED_UDP), "datagrams", at_most=0)
    figure("kill: allowed TCP messages lost", record.lost(ALLOWED_TCP), "messages", at_most=0)
    figure("kill: TCP segments sent again", sum(record.retransmits[n] for n in ALLOWED_TCP), "segments")
    figure("kill: forbidden probes sent", record.sent(FORBIDDEN), "packets", at_least=100 * kills)
    figure("kill: forbidden packets delivered", record.delivered(FORBIDDEN) + len(record.caught), "packets", at_most=0)
    figure("kill: flow changes at reconnect, by flow monitor", watch.changes(), "changes", at_most=0)
    figure("kill: flow changes at reconnect, by the switch's own count", touched, "changes", at_most=0)
    figure("kill: longest time from kill to realized again", round(max(outages, default=0), 2), "s")
    prove_that_it_would_have_been_seen(field, watch, changed_before)


def prove_that_it_would_have_been_seen(field: Field, watch: Watch, changed_before: int) -> None:
    """Allow what was forbidden: now the guards, the probes and the monitor see it."""
    field.apply(OUTSIDER_MAY)
    field.traffic.ask("drive", ids=list(FORBIDDEN))
    time.sleep(1)
    record = field.traffic.report()
    assert record.caught
    assert record.delivered(FORBIDDEN)
    assert watch.changes()
    assert field.coverage("rev_flow_table") > changed_before

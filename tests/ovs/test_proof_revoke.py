"""Revocation stops exactly the streams it means, in both directions, within 50 ms of the commit reply."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Sequence

import pytest

from tests.soak.field import Field, policy
from tests.soak.record import Record, percentile

LIMIT_MS, LATEST_MS = 50, 250
"""The bound on a machine with nothing else to do, and however busy it is."""
DRIVERS = ("client", "server", "both")
KEPT, CARRIED, DELETED, DENIED, QUARANTINED = "kept", "carried", "deleted", "denied", "quarantined"
PORTS = {KEPT: 7001, CARRIED: 7002, DELETED: 7003, DENIED: 7004, QUARANTINED: 7001}
SHARES = {KEPT: 2, CARRIED: 2, DELETED: 2, DENIED: 1, QUARANTINED: 1}
"""Of 8 streams: half go on, half of these carried by another rule; half stop, half of these by deletion."""


def allow(*ports: int) -> list[str]:
    return [f"allow web app {protocol}/{port}" for protocol in ("tcp", "udp") for port in ports]


BEFORE = policy("base", *allow(7001, 7004)) + policy("goes", *allow(7002, 7003)) + policy("stays", *allow(7002))
LOCK = policy("lock", *(rule.replace("allow", "deny") for rule in allow(7004)), tier="security")
QUARANTINE = policy("quarantine", "deny sick app any", "deny app sick any", tier="emergency")


@pytest.fixture
def field(janitor, ovs):
    # `patient` has the label `app: web` until it is in quarantine.
    return Field(janitor, ovs, ["web", "app", "patient"])


@dataclasses.dataclass(frozen=True, slots=True)
class Streams:
    """The numbers of all streams, by what is to become of them."""

    asked: Sequence[dict[str, object]]
    of: dict[str, list[int]]

    def going_on(self) -> list[int]:
        return [*self.of[KEPT], *self.of[CARRIED]]


def make_streams(field: Field, each: int, first: int, interval_s: float) -> Streams:
    """Return `each` TCP and `each` UDP streams, driven by clients, servers and both in turn."""
    kinds = [kind for kind, share in SHARES.items() for _ in range(each * share // 8)]
    of: dict[str, list[int]] = {kind: [] for kind in SHARES}
    asked = []
    for number, (protocol, kind) in enumerate(itertools.product(("tcp", "udp"), kinds), first):
        client = "patient" if kind == QUARANTINED else "web"
        more = {"driver": DRIVERS[number % 3], "interval_s": interval_s}
        asked.append(field.stream(number, protocol, client, "app", PORTS[kind], **more))
        of[kind].append(number)
    return Streams(asked, of)


def open_all(field: Field, streams: Streams) -> None:
    """Bring the policy back to its beginning, open all streams and let them run."""
    field.delete("lock", "quarantine")
    field.apply(BEFORE + field.endpoint("patient", app="web"))
    field.settle()
    field.traffic.open(streams.asked)
    field.traffic.ask("drive", ids=[s["id"] for s in streams.asked])
    time.sleep(1)


def revoke(field: Field) -> dict[str, tuple[float, float]]:
    """Delete, deny and relabel; return of each when it was asked for and when the commit reply came."""
    steps: dict[str, Callable[[], object]] = {
        DELETED: lambda: field.delete("goes"),
        DENIED: lambda: field.apply(LOCK),
        QUARANTINED: lambda: field.apply(QUARANTINE + field.endpoint("patient", app="sick")),
    }
    instants = {}
    for kind, step in steps.items():
        asked_at = time.monotonic()
        step()
        time.sleep(0.4)
        instants[kind] = asked_at, field.commits()[-1][1]
    return instants


def overtimes_ms(record: Record, idents: Sequence[int], asked_at: float, reply_at: float) -> list[float]:
    """Return for each direction of each stream how long after the commit reply its last byte came."""
    found = []
    for flow in record.of(idents):
        assert flow.arrived(asked_at - 0.9, asked_at), "it ran until it was revoked"
        assert len(flow.sent) > len(flow.got), "it went on trying"
        found.append(max(0.0, flow.arrived()[-1] - reply_at) * 1000)
    return found


def test_revocation_stops_what_it_means_and_nothing_else(field, effort, figure):
    each, rounds = effort(short=24, full=200), effort(short=1, full=3)
    field.start(BEFORE)
    overtimes: list[float] = []
    again = slowest_s = 0.0
    harmed: set[int] = set()
    for number in range(rounds):
        streams = make_streams(field, each, number * 2 * each, effort(short=10, full=80) / 1000)
        open_all(field, streams)
        instants = revoke(field)
        time.sleep(1.5)
        record = field.traffic.report()
        assert not field.own_drops(), "the proof itself could not keep up: give it a less busy machine"
        harmed |= record.broken(streams.going_on()).keys()
        harmed |= {ident for ident in streams.going_on() if record.lost([ident])}
        for kind, (asked_at, reply_at) in instants.items():
            overtimes += overtimes_ms(record, streams.of[kind], asked_at, reply_at)
        again += sum(record.retransmits[ident] for ident in streams.going_on())
        slowest_s = max(slowest_s, *(flow.slowest_s() for flow in record.of(streams.going_on())))
        field.traffic.ask("close", ids=[s["id"] for s in streams.asked])
    p50, p99, longest = (round(percentile(overtimes, share), 1) for share in (0.5, 0.99, 1.0))
    figure("revoke: live streams, half of them TCP, half of all revoked", 2 * each, "streams")
    figure("revoke: last byte of a revoked stream after the commit reply, p50", p50, "ms")
    figure("revoke: last byte of a revoked stream after the commit reply, p99", p99, "ms",
           at_most=effort(short=LATEST_MS, full=LIMIT_MS))  # fmt: skip
    figure("revoke: last byte of a revoked stream after the commit reply, longest", longest, "ms")
    figure("revoke: other streams that were reset or lost anything", len(harmed), "streams", at_most=0)
    figure("revoke: TCP segments sent again on other streams", again, "segments")
    figure("revoke: longest a message of another stream took", round(slowest_s * 1000, 1), "ms")

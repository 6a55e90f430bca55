"""Counters come back under the names of things, summed over switches and flows."""

from __future__ import annotations

from intent.api.ports import Drop, Hit, Tally
from intent.compiler import IdMap, cookie
from intent.compiler import fields as f
from intent.compiler.cookie import Guard, Kind, Origin
from intent.compiler.flow import Flow, FlowBody, FlowKey
from intent.compiler.verdict import Column
from intent.model import Direction, Intents, Network, Posture, Tier
from ryu_apps.counting import Counted
from ryu_apps.telemetry import Counters
from ryu_apps.wire import FlowStats


def stats(origin: Origin, packets: int) -> FlowStats:
    body = FlowBody((), cookie.encode(origin))
    return FlowStats(Flow(FlowKey(0, 1, ()), body), packets, packets * 100, 1.0, 0)


def counted(*switches: list[FlowStats]) -> Counted:
    counters = Counters()
    for dpid, flows in enumerate(switches):
        counters.take(dpid, flows)
    ids = IdMap().with_space("rule", ["p/a", "p/b"], 0).with_space("network", ["lan", "open"], 0)
    networks = {"lan": Network("lan"), "open": Network("open", Posture.ALLOW)}
    intents = Intents(networks=networks, tiers=(Tier("pods", isolating=True),))
    return Counted(counters, lambda: ids, lambda: intents)


def test_hits_are_summed_by_rule_and_direction_and_a_rule_that_is_gone_is_left_out() -> None:
    here = [stats(Origin(Kind.RULE, 1, Direction.EGRESS), 2), stats(Origin(Kind.RULE, 9, Direction.EGRESS), 5)]
    there = [stats(Origin(Kind.RULE, 1, Direction.EGRESS), 3), stats(Origin(Kind.RULE, 2, Direction.INGRESS), 1)]
    assert sorted(counted(here, there).hits()) == [
        Hit("p", "a", "egress", 5, 500),
        Hit("p", "b", "ingress", 1, 100),
    ]


def test_drops_name_the_guard_the_isolation_or_the_denying_posture() -> None:
    flows = [
        stats(Origin(Kind.GUARD, Guard.CHANGED_HANDS), 1),
        stats(Origin(Kind.GUARD, 200), 9),
        stats(Origin(Kind.ISOLATION, 0, Direction.EGRESS), 2),
        stats(Origin(Kind.ISOLATION, 7, Direction.EGRESS), 9),
        stats(Origin(Kind.POSTURE, 1, Direction.EGRESS), 3),
        stats(Origin(Kind.POSTURE, 1, Direction.INGRESS), 4),
        stats(Origin(Kind.POSTURE, 2, Direction.EGRESS), 9),
    ]
    assert sorted(counted(flows).drops()) == [
        Drop("guard changed hands", 1, 100),
        Drop("isolation pods", 2, 200),
        Drop("posture lan", 7, 700),
    ]


def test_tallies_are_summed_over_openings_and_the_rest() -> None:
    def tally(number: int, packets: int, *, opening: bool) -> FlowStats:
        return stats(Origin(Kind.TALLY, number, None, Column(f.ALLOWED, f.DENIED, opening).detail), packets)

    flows = [tally(0, 2, opening=True), tally(0, 5, opening=False), tally(2, 2, opening=True)]
    assert sorted(counted(flows).tallies()) == [
        Tally("", "", "allow", "deny", 7, 2),
        Tally("p", "b", "allow", "deny", 2, 2),
    ]


def test_what_a_counter_was_before_a_packet_is_what_it_was_before_the_newest_dump() -> None:
    """The newest may already count a packet that the switch shows and that still waits to be looked at."""
    counters, origin = Counters(), Origin(Kind.POSTURE, 1, Direction.EGRESS)
    before = lambda: counters.packets_before(1, cookie.encode(origin))  # noqa: E731 - said once, used four times
    assert before() is None, "nothing is known before the first dump: what it says, another controller knew"
    counters.take(1, [stats(origin, 1000)])
    assert before() == 1000
    counters.take(1, [stats(origin, 1300), stats(origin, 5)])
    assert before() == 1000
    counters.take(1, [stats(origin, 1300)])
    assert before() == 1305
    counters.take(1, [])
    counters.take(1, [])
    assert before() == 0, "its flows are gone: when they come again, they begin at 0"

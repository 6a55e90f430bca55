"""Totals that never fall, a past that stays small, sums that are shared out whole, and the picture of them."""

from __future__ import annotations

import json
import sys
from array import array
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from api_kit import Api

from cli.answer import Answer
from cli.columns import SORTS, Row, View, amount, chosen, lines
from cli.parser import SORTS as OFFERED
from cli.top import changed, screen
from intent.api.figures import Figures, Moment, Reading
from intent.compiler import cookie
from intent.compiler.cookie import Guard, Kind, Origin
from intent.model import Direction
from ryu_apps.attribution import Attribution, Pair, Share, shared
from ryu_apps.gauges import KEPT_MOMENTS, MAX_REASONS, OTHER, Gauges, Owner, Ring, grown
from ryu_apps.polling import COUNTED
from ryu_apps.wire import PortStats

WEB, APP = Owner("web-1", "row-1"), Owner("app-1", "row-2")


def port(ofport: int, sent: int, received: int) -> PortStats:
    return PortStats(ofport, sent, received, sent * 100, received * 100, 0, 0)


def test_what_a_port_transmits_its_endpoint_receives() -> None:
    gauges = Gauges()
    gauges.ports(1.0, 1, [PortStats(7, 1, 2, 3, 4, 5, 6), port(9, 1, 1)], {7: WEB})
    assert gauges.reading("web-1") is not None
    assert gauges.reading("web-1").totals == Figures(
        tx_packets=1, rx_packets=2, tx_bytes=3, rx_bytes=4, tx_lost=5, rx_lost=6
    )
    assert [r.endpoint for r in gauges.readings()] == ["web-1"], "a port of nobody's is nobody's"


@pytest.mark.parametrize(
    ("last", "now", "more"),
    [
        (5, 9, 4),
        (5, 5, 0),
        (1000, 10, 10),  # the interface was made anew
        (2**32 - 10, 5, 15),  # 32 bits are full
        (2**33, 7, 7),  # no 32-bit counter was ever there
        (2**31, 7, 7),
    ],
)
def test_a_counter_that_falls_began_anew_or_is_full(last, now, more) -> None:
    assert grown(last, now) == more


def test_totals_go_on_over_another_port_another_switch_and_another_row() -> None:
    gauges = Gauges()
    gauges.ports(1.0, 1, [port(7, 10, 20)], {7: WEB})
    gauges.ports(2.0, 1, [port(8, 11, 22)], {8: WEB})  # the same row has another number
    assert gauges.reading("web-1").totals[:5:3] == (22, 11)
    gauges.ports(3.0, 2, [port(1, 3, 4)], {1: Owner("web-1", "row-9")})
    assert gauges.reading("web-1").totals[:5:3] == (26, 14)
    gauges.ports(4.0, 2, [port(1, 1, 1)], {1: Owner("web-1", "row-9")})
    assert gauges.reading("web-1").totals[:5:3] == (27, 15)


def test_a_device_that_moves_counts_on_and_a_new_one_from_nothing() -> None:
    gauges, mac = Gauges(), "02:00:00:00:00:99"
    gauges.ports(1.0, 1, [port(7, 10, 20)], {7: Owner("web-1", "row-1", mac)})
    gauges = Gauges.load(gauges.dump())
    gauges.ports(2.0, 2, [port(1, 12, 20)], {1: Owner("web-1", "row-9", mac)})  # it went to another host
    assert gauges.reading("web-1").totals[:5:3] == (20, 12)
    gauges.ports(3.0, 1, [port(7, 30, 30)], {7: Owner("web-1", "row-3", "02:00:00:00:00:98")})  # another device
    assert gauges.reading("web-1").totals[:5:3] == (50, 42)
    gauges.ports(4.0, 1, [port(8, 29, 40)], {8: Owner("web-1", "row-4", "02:00:00:00:00:98")})  # made anew
    assert gauges.reading("web-1").totals[:5:3] == (90, 71)
    gauges.ports(5.0, 1, [port(9, 29, 40)], {9: Owner("web-1", "row-5")})  # nobody knows which it is
    assert gauges.reading("web-1").totals[:5:3] == (130, 100)


def test_totals_kept_by_an_earlier_version_are_read() -> None:
    kept = json.loads(Gauges().dump())
    del kept["devices"]
    assert Gauges.load(json.dumps(kept).encode()).readings() == []


def test_who_takes_over_an_interface_does_not_get_what_it_counted_before() -> None:
    gauges = Gauges()
    gauges.ports(1.0, 1, [port(7, 10, 20)], {7: WEB})
    gauges.ports(2.0, 1, [port(7, 12, 23)], {7: Owner("app-1", WEB.uid)})
    assert gauges.reading("app-1").totals[:5:3] == (3, 2)


def test_rates_are_over_the_last_seconds_and_never_negative() -> None:
    gauges = Gauges()
    assert gauges.reading("web-1") is None
    for second in range(10):
        gauges.ports(100.0 + second, 1, [port(7, 50 * second, 0)], {7: WEB})
    assert gauges.reading("web-1").rates == (0, 0, 0, 50, 5000, 0, 0, 0, 0, 0)
    gauges.ports(200.0, 1, [port(7, 450 + 910, 0)], {7: WEB})  # nobody asked for a while
    assert gauges.reading("web-1").rates[3] == pytest.approx(10)


def test_the_past_is_a_fixed_number_of_moments_in_order() -> None:
    ring = Ring()
    assert list(ring.moments()) == []
    for second in range(200):
        ring.put(second, array("Q", [second] * len(Figures._fields)))
    moments = list(ring.moments())
    assert len(moments) == KEPT_MOMENTS
    assert [m.at for m in moments] == list(range(199, 199 - KEPT_MOMENTS, -1))
    assert moments[0] == Moment(199, Figures(*[199] * 10))
    gauges = Gauges()
    for second in range(180):
        gauges.ports(second, 1, [port(7, second, 0)], {7: WEB})
    assert [m.at for m in gauges.past("web-1", minutes=True)] == [0, 60, 120]
    assert [m.at for m in gauges.past("web-1", minutes=False)] == list(range(180 - KEPT_MOMENTS, 180))
    assert gauges.past("who", minutes=True) == []


def test_reasons_are_bounded_and_none_is_lost() -> None:
    gauges = Gauges()
    for number in range(2 * MAX_REASONS):
        gauges.add(1.0, "web-1", "dropped", 2, f"rule p/r{number}")
    reading = gauges.reading("web-1")
    assert len(reading.reasons) == MAX_REASONS + 1
    assert reading.reasons["dropped", OTHER] == 2 * MAX_REASONS
    assert sum(reading.reasons.values()) == reading.totals.dropped


def test_what_is_kept_goes_on_after_a_restart_and_what_is_gone_is_forgotten() -> None:
    before = Gauges()
    before.ports(1.0, 1, [port(7, 10, 20)], {7: WEB})
    before.add(1.0, "web-1", "dropped", 3, "posture lan")
    after = Gauges.load(before.dump())
    assert after.reading("web-1").totals == before.reading("web-1").totals
    assert after.reading("web-1").reasons == {("dropped", "posture lan"): 3}
    after.ports(9.0, 1, [port(7, 15, 20)], {7: WEB})  # what came while nobody looked
    assert after.reading("web-1").totals.tx_packets == 15
    after.forget(10_000.0, [WEB])
    assert after.reading("web-1")
    after.forget(10_000.0, [APP])
    assert after.readings() == []
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        Gauges.load(b"[1, 2]")


def test_a_sum_is_shared_out_whole() -> None:
    weights = Counter({Pair(1, 2): 3, Pair(2, 1): 1, Pair(3, 0): 1})
    for packets in range(100):
        shares = list(shared(packets, weights))
        assert sum(s.packets for s in shares) == packets
        assert all(s.packets > 0 for s in shares)
    assert list(shared(50, weights)) == [Share(Pair(1, 2), 30), Share(Pair(2, 1), 10), Share(Pair(3, 0), 10)]


def test_samples_are_exact_and_what_was_not_shown_is_shared_out_like_them() -> None:
    attribution, a, b = Attribution(), Pair(1, 0), Pair(2, 0)
    for pair in (a, a, a, b):
        attribution.sample(1.0, 77, pair, 100)
    assert attribution.wanted(1.0) == [77]
    assert list(attribution.read(77, 102)) == [], "the flow counts late: the samples are ahead"
    assert list(attribution.read(77, 104)) == [], "every drop was shown"
    assert list(attribution.read(77, 112)) == [Share(a, 6), Share(b, 2)]
    assert attribution.wanted(100.0) == []
    attribution.sample(200.0, 77, b, 0)
    assert list(attribution.read(77, 121)) == [Share(b, 8)], "whose they are that nobody was asked for, the next says"
    attribution.sample(201.0, 77, b, 0)
    assert list(attribution.read(77, 5)) == [Share(b, 4)], "the switch began anew"


def test_what_flows_count_late_belongs_to_those_who_were_shown_last() -> None:
    attribution, a, b = Attribution(), Pair(1, 0), Pair(2, 0)
    for _ in range(40):
        attribution.sample(1.0, 77, a, 0)
    assert list(attribution.read(77, 1000)) == [Share(a, 960)]
    assert list(attribution.read(77, 1200)) == [Share(a, 200)], "the flood is over, and now it is counted whole"
    assert list(attribution.read(77, 1200)) == []
    assert list(attribution.read(77, 1201)) == [Share(a, 1)], "so late as this on a busy machine"
    attribution.sample(5.0, 77, b, 0)
    assert list(attribution.read(77, 1301)) == [Share(b, 99)], "whoever came long after has no part in it"


def test_who_comes_when_a_flood_ends_does_not_get_all_that_is_counted_late() -> None:
    attribution, a, b = Attribution(), Pair(1, 0), Pair(2, 0)
    for _ in range(49):
        attribution.sample(1.0, 77, a, 0)
    assert list(attribution.read(77, 1000)) == [Share(a, 951)]
    attribution.sample(2.0, 77, b, 0)
    assert list(attribution.read(77, 1101)) == [Share(a, 98), Share(b, 2)]


def test_a_counter_of_which_nothing_is_known_begins_with_its_first_reading() -> None:
    attribution, a = Attribution(), Pair(1, 0)
    for _ in range(5):
        attribution.sample(1.0, 77, a, None)
    assert list(attribution.read(77, 10**6)) == [], "whose these were, who was there before knew"
    assert list(attribution.read(77, 10**6 + 15)) == [Share(a, 10)]


def test_a_reason_fits_a_register_and_comes_back() -> None:
    origins = [
        Origin(Kind.GUARD, Guard.SOURCE),
        Origin(Kind.RULE, 2**26 - 1, Direction.INGRESS),
        Origin(Kind.POSTURE, 7, Direction.EGRESS),
        Origin(Kind.OPENED, 0),
    ]
    for origin in origins:
        assert cookie.of_reason(cookie.reason(cookie.encode(origin))) == cookie.encode(origin)
    beyond = cookie.reason(cookie.encode(Origin(Kind.RULE, 2**26, Direction.EGRESS)))
    assert cookie.of_reason(beyond) == cookie.encode(Origin(Kind.RULE, 0, Direction.EGRESS))
    assert cookie.of_reason(0) is None
    assert all(int(kind) < 16 for kind in (*COUNTED, Kind.OPENED, Kind.PIPELINE)), "four bits"


# -- REST --------------------------------------------------------------------------------------


class Known:
    """Two endpoints that are plugged in, and one that is not any more."""

    def __init__(self) -> None:
        rates = (0.0,) * 6 + (1.5, 0.0, 0.0, 0.0)
        self._readings = {
            name: Reading(name, 1.0, 2.5, Figures(rx_packets=2**40, dropped=9), rates, {("dropped", "guard source"): 9})
            for name in ("app-1", "gone-1", "web-1")
        }

    def readings(self):
        return list(self._readings.values())

    def reading(self, endpoint):
        return self._readings.get(endpoint)

    def past(self, _endpoint, *, minutes):
        return [Moment(60.0 if minutes else 1.0, Figures(rx_packets=1))]


@pytest.fixture
def api(tmp_path):
    made = Api(tmp_path, gauges=Known())
    made.apply("{kind: Network, name: shop}\n---\n{kind: Network, name: office}")
    return made


def test_all_endpoints_that_are_plugged_in_come_page_by_page(api) -> None:
    whole = api.get("/v1/live/counters").json
    assert [item["name"] for item in whole["items"]] == ["app-1", "web-1"]
    assert whole["after"] is None
    first = api.get("/v1/live/counters", limit="1").json
    assert first["after"] == "app-1"
    assert [i["name"] for i in api.get("/v1/live/counters", limit="1", after="app-1").json["items"]] == ["web-1"]
    assert api.get("/v1/live/counters", network="office").json["items"] == []
    assert api.get("/v1/live/counters", network="none").status_code == 422
    assert api.get("/v1/live/counters", limit="5000").status_code == 400


def test_one_endpoint_says_its_totals_rates_reasons_and_past(api) -> None:
    answer = api.get("/v1/endpoints/web-1/counters", history="minutes").json
    assert answer["network"] == "shop"
    assert answer["totals"]["rxPackets"] == 2**40
    assert answer["rates"]["dropped"] == 1.5
    assert answer["reasons"] == [{"figure": "dropped", "reason": "guard source", "packets": 9}]
    assert answer["at"] == "1970-01-01T00:00:02.500Z"
    assert [m["at"] for m in answer["history"]] == ["1970-01-01T00:01:00.000Z"]
    assert api.get("/v1/endpoints/web-1/counters").json["history"] is None
    assert api.get("/v1/endpoints/gone-1/counters").json["network"] is None
    missing = api.get("/v1/endpoints/web-2/counters")
    assert missing.status_code == 404
    assert "web-1" in missing.text
    assert "in a second" in api.get("/v1/endpoints/new-1/counters").text
    assert api.get("/v1/endpoints/web-1/counters", history="years").status_code == 400


# -- the picture -------------------------------------------------------------------------------


def row(name: str, rx: float = 0, dropped: float = 0, why: str = "") -> Row:
    return Row(name, "shop", {"rxBytes": rx * 9, "dropped": dropped * 9}, {"rxBytes": rx, "dropped": dropped}, why)


ROWS = [row("web-1", 100), row("app-1", 2_500_000, 3, "dropped: rule p/no-ssh"), row("db-1"), row("web-2", 100)]


def test_endpoints_are_sorted_and_filtered() -> None:
    names = lambda **view: [r.name for r in chosen(ROWS, View(**view))]  # noqa: E731 - said once, used six times
    assert names() == ["app-1", "web-1", "web-2", "db-1"]
    assert names(sort="name") == ["app-1", "db-1", "web-1", "web-2"]
    assert names(reverse=True) == ["db-1", "web-2", "web-1", "app-1"]
    assert names(match="web-*") == ["web-1", "web-2"]
    assert names(dropping=True) == ["app-1"]
    assert names(sort="dropped")[0] == "app-1"
    assert tuple(SORTS) == OFFERED


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.25, "0.2"),
        (7, "7"),
        (7.5, "7.5"),
        (999, "999"),
        (1000, "1.0K"),
        (12_345, "12K"),
        (999_700, "1.0M"),
        (2.5e9, "2.5G"),
        (1e21, "1000E"),
    ],
)
def test_a_number_takes_five_characters_at_most(value, text) -> None:
    assert amount(value) == text
    assert len(text) <= 5


@pytest.mark.parametrize("columns", [1, 10, 20, 40, 80, 132, 400])
@pytest.mark.parametrize("height", [1, 2, 3, 5, 40])
def test_the_picture_fits_every_terminal(columns, height) -> None:
    hostile = [*ROWS, row("\x1b[2Jevil" * 40, 5, 1, "dropped: " + "x" * 300)]
    picture = list(screen(hostile, View(), 1.0, "", (columns, height)))
    assert len(picture) <= height
    assert all(len(line) <= columns for line in picture)
    assert "\x1b" not in "".join(picture)


def test_the_picture_is_plain_where_nobody_looks_at_it_with_a_terminal(capsys) -> None:
    text = list(lines(ROWS, View(limit=2), (None, None)))
    assert text[0].split()[:2] == ["NAME", "NETWORK"]
    assert text[1].startswith("app-1")
    assert "dropped: rule p/no-ssh" in text[1]
    assert text[-1] == "(2 more)"
    assert "\x1b" not in "".join(text)
    assert next(iter(lines([], View(), (80, 24)))).startswith("NAME")


def test_keys_change_the_view_and_trouble_stays_in_sight() -> None:
    assert changed(View(), "s").sort == "rx"
    assert changed(View(sort="name"), "s").sort == "traffic"
    assert changed(View(), "r").reverse
    assert changed(View(), "d").dropping
    assert changed(View(), "x") == View()
    assert next(screen(ROWS, View(), 1.0, "cannot reach it", (80, 24))) == "cannot reach it"


def test_a_row_is_read_with_care() -> None:
    item = {"name": "a", "network": None, "totals": {"rxBytes": 1}, "rates": {"rxBytes": 0.5}, "reasons": []}
    assert Row.of(Answer(json.loads(json.dumps(item)), "x")) == Row("a", "", {"rxBytes": 1}, {"rxBytes": 0.5}, "")
    reasons = [{"figure": "kept", "reason": "posture lan", "packets": 3}] * 2
    assert Row.of(Answer({**item, "reasons": reasons}, "x")).why == "kept: posture lan (+1)"

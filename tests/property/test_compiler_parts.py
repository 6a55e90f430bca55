"""The compiler's small parts: numbers, priorities, cookies, masks, tables."""

from __future__ import annotations

import itertools
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intent.compiler import allocate, compile_program, cookie
from intent.compiler import fields as f
from intent.compiler.flow import Conjunction, Goto, Term, exact, match_of
from intent.compiler.ids import IdMap
from intent.compiler.interpreter import Conntrack, Interpreter
from intent.compiler.pipeline import static_flows
from intent.compiler.seats import SHARD
from intent.compiler.spaces import REST_S, OutOfNumbers, Space
from intent.compiler.tables import STAGES, Lane, Table, table_name
from intent.compiler.terms import masks
from intent.model import (
    MAX_TIERS,
    Action,
    Direction,
    Intents,
    Network,
    Policy,
    PortRange,
    Rule,
    Selector,
    SelectorPeer,
    ServiceMatch,
)
from topology.model import Endpoint, Inventory, Location
from topology.packet import ETH_IPV4, TCP, Frame

# -- numbers -------------------------------------------------------------------------------------


def test_new_keys_get_numbers_in_sorted_order_whatever_the_order_asked() -> None:
    one = IdMap().with_space("rule", ["b", "a", "c"], 0)
    other = IdMap().with_space("rule", ["c", "b", "a"], 0)
    assert one == other
    assert [one.number("rule", k) for k in "abc"] == [1, 2, 3]


def test_a_kept_key_keeps_its_number_and_a_freed_number_is_not_handed_on() -> None:
    before = IdMap().with_space("rule", ["a", "b"], 0)
    after = before.with_space("rule", ["b", "c"], 1)
    assert after.number("rule", "b") == before.number("rule", "b")
    assert after.number("rule", "c") not in {1, 2}


def test_a_freed_number_rests_ten_minutes_also_across_a_restart() -> None:
    space = Space().with_keys(["a", "b"], 0, limit=2).with_keys(["b"], 100, limit=2)
    with pytest.raises(OutOfNumbers, match="10 minutes"):
        space.with_keys(["b", "c"], 100 + REST_S - 1, limit=2)
    full = IdMap({"network": space})
    revived = IdMap.from_json(full.to_json()).spaces["network"]
    assert revived.with_keys(["b", "c"], 100 + REST_S, limit=2).live == {"b": 2, "c": 1}


def test_more_rules_of_one_band_about_one_peer_than_a_flow_holds_are_split_over_priorities() -> None:
    """At most 1,000 conjunctions on one flow, and nobody's emergency deny fails because of it."""
    everyone = SelectorPeer(Selector())
    rules = tuple(
        Rule(f"r{n}", Action.ALLOW, (everyone,), (everyone,), (ServiceMatch(TCP, PortRange(n, n)),))
        for n in range(1, 1102)
    )
    policies = {"many": Policy("many", "application", 1, rules)}
    inventory = Inventory({e.name: e for e in (_endpoint("a", 1), _endpoint("b", 2))})
    intents = Intents(networks={"lan": Network("lan")}, policies=policies)
    id_map = allocate(intents, inventory, IdMap(), 0)
    program = compile_program(intents, inventory, 1, id_map)
    sizes = [sum(isinstance(a, Conjunction) for a in body.actions) for body in program.values()]
    assert max(sizes) <= SHARD
    assert IdMap.from_json(id_map.to_json()) == id_map
    interpreter = Interpreter(program)
    for port, wanted in ((1, [2]), (1101, [2]), (1102, [])):
        assert interpreter.run(_syn(port), Conntrack()).ports == wanted


def _endpoint(name: str, number: int) -> Endpoint:
    labels = {"ringfence/name": name, "ringfence/network": "lan"}
    where = Location(1, number, f"v{number}", f"u{number}")
    return Endpoint(name, "lan", labels, f"02:00:00:00:00:0{number}", (ip_address(f"10.0.0.{number}"),), (), where)


def _syn(port: int) -> Frame:
    ends = (ip_address("10.0.0.1"), ip_address("10.0.0.2"))
    macs = ("02:00:00:00:00:01", "02:00:00:00:00:02")
    return Frame(1, 1, *macs, ETH_IPV4, None, *ends, TCP, 40000, port)


# -- masks, cookies, tables ------------------------------------------------------------------------


@given(st.integers(0, 65535), st.integers(0, 65535))
def test_masks_cover_exactly_the_range_without_overlap(a: int, b: int) -> None:
    first, last = min(a, b), max(a, b)
    pairs = masks(first, last)
    sizes = [(~mask & 0xFFFF) + 1 for _, mask in pairs]
    assert sum(sizes) == last - first + 1
    assert pairs[0][0] == first
    assert all(v + s == w for (v, _), s, (w, _) in zip(pairs, sizes, pairs[1:], strict=False))
    assert all(value & ~mask & 0xFFFF == 0 for value, mask in pairs)
    assert len(pairs) <= 30


@given(st.sampled_from(cookie.Kind), st.integers(0, 2**32 - 1), st.sampled_from([None, *Direction]))
def test_a_cookie_leads_back_to_its_origin(kind: cookie.Kind, number: int, direction: Direction | None) -> None:
    origin = cookie.Origin(kind, number, direction, number & 0xFF)
    assert cookie.decode(cookie.encode(origin)) == origin


@given(st.integers(0, 2**64 - 1))
def test_a_foreign_cookie_is_nobodys(value: int) -> None:
    origin = cookie.decode(value)
    assert origin is None or cookie.encode(origin) == value


def test_every_table_has_a_number_of_its_own() -> None:
    tiers = [lane.tier(d, t) for lane in Lane for d in Direction for t in range(MAX_TIERS)]
    numbers = [*tiers, *(int(t) for t in Table)]
    assert len(set(numbers)) == len(numbers)
    assert max(numbers) < 255
    assert len({table_name(n) for n in numbers}) == len(numbers)
    with pytest.raises(ValueError, match="beyond"):
        Lane.ENFORCED.tier(Direction.EGRESS, MAX_TIERS)


def test_the_static_flows_go_only_where_the_declaration_says() -> None:
    for key, body in static_flows():
        for act in body.actions:
            if isinstance(act, Goto):
                assert Table(act.table) in STAGES[Table(key.table)].next
                assert act.table > key.table


def test_no_two_registers_share_a_bit() -> None:
    names = ["SRC_ID", "SRC_ATT", "NETWORK", "DST_ID", "DST_ATT", "OUT_PORT", "CLIENT_ID", "SERVER_ID", "CLIENT_ATT",
             "SERVER_ATT", "DIRECTION", "COMMIT", "SAME", "COMPARE_A", "COMPARE_B", "FOUND_ID",
             "LABEL_CLIENT", "LABEL_SERVER"]  # fmt: skip
    slices = [getattr(f, name) for name in names]
    for one, other in itertools.combinations(slices, 2):
        assert one.field is not other.field or not one.mask & other.mask


def test_no_two_fields_share_a_header_or_a_place() -> None:
    assert len({(x.oxm_class, x.oxm_field) for x in f.FIELDS}) == len(f.FIELDS)
    assert [x.index for x in f.FIELDS if x not in f.REG] == sorted(x.index for x in f.FIELDS if x not in f.REG)
    assert len({x.index for x in f.FIELDS}) == len(f.FIELDS)


# -- matches -----------------------------------------------------------------------------------------


def test_a_match_that_names_a_field_twice_or_an_impossible_value_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        match_of([exact(f.IN_PORT, 1), exact(f.IN_PORT, 2)])
    with pytest.raises(ValueError, match="no valid term"):
        match_of([Term(f.IN_PORT, 2, 1)])
    with pytest.raises(ValueError, match="no valid term"):
        match_of([exact(f.ETH_TYPE, 1 << 16)])

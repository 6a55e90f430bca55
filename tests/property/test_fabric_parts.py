"""Links and ways between switches, for any wiring: what is proven, what is chosen, what nobody can forge."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topology import links as li
from topology.links import LIFE_S, Links, aged, hear, kept, without
from topology.lldp import FRAME_BYTES, TICKS, Unproven, frame, read
from topology.paths import LinkEnd, distances, graph, reachable, ways_to

KEY = bytes(range(32))
ENDS = st.builds(LinkEnd, st.integers(1, 2**64 - 1), st.integers(1, 65279))
TICK = st.integers(TICKS, 2**60)


@given(ENDS, TICK, st.integers(0, TICKS - 1))
def test_a_frame_proves_its_port_in_its_time(end, tick, late):
    data = frame(KEY, end, tick)
    assert len(data) == FRAME_BYTES
    assert read(KEY, data, tick + late) == end


@given(ENDS, TICK, st.integers(0, FRAME_BYTES * 8 - 1))
def test_a_frame_with_one_bit_changed_proves_nothing(end, tick, bit):
    data = bytearray(frame(KEY, end, tick))
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Unproven):
        read(KEY, bytes(data), tick)


@given(ENDS, TICK, st.integers(-5, 100).filter(lambda late: not 0 <= late < TICKS))
def test_a_frame_that_was_kept_proves_nothing(end, tick, late):
    with pytest.raises(Unproven) as refused:
        read(KEY, frame(KEY, end, tick), max(0, tick + late))
    assert refused.value.forged


@given(ENDS, TICK, st.binary(min_size=32, max_size=32).filter(lambda key: key != KEY))
def test_who_does_not_know_the_key_proves_nothing(end, tick, key):
    with pytest.raises(Unproven) as refused:
        read(KEY, frame(key, end, tick), tick)
    assert refused.value.forged


@given(st.binary(max_size=200), TICK)
def test_anything_else_proves_nothing_and_accuses_nobody(data, tick):
    with pytest.raises(Unproven) as refused:
        read(KEY, data, tick)
    assert not refused.value.forged


# -- links -------------------------------------------------------------------------------------

A, B, C, D = (LinkEnd(dpid, 1) for dpid in (1, 2, 3, 4))


def proven(*pairs: tuple[LinkEnd, LinkEnd], now: float = 0.0, links: Links | None = None) -> Links:
    links = links or Links()
    for one, other in pairs:
        for source, at in ((one, other), (other, one)):
            links, problem = hear(links, source, at, now)
            assert not problem
    return links


def test_a_link_is_up_when_each_end_hears_the_other():
    half, _ = hear(Links(), A, B, 0.0)
    assert not half.states
    assert proven((A, B)).states == {(A, B): True}


def test_a_link_that_is_not_proven_anew_goes_down_and_up_again():
    links = aged(proven((A, B)), LIFE_S)
    assert links.states == {(A, B): False}
    assert proven((A, B), now=LIFE_S + 1, links=links).states == {(A, B): True}


def test_one_direction_that_fails_takes_the_link_down():
    links, _ = hear(proven((A, B)), A, B, LIFE_S - 1)
    assert aged(links, LIFE_S).states == {(A, B): False}


def test_links_of_a_switch_that_is_not_connected_stay_until_a_port_says_otherwise():
    links = proven((A, B))
    assert aged(links, 100 * LIFE_S, silent={1}).up == {(A, B)}
    assert aged(links, 100 * LIFE_S, silent={3}).up == set()
    assert without(links, [B]).states == {(A, B): False}


@pytest.mark.parametrize(("source", "at"), [(A, C), (C, A), (A, D), (D, B)])
def test_frames_that_somebody_relays_change_nothing_and_are_told(source, at):
    links = proven((A, B), (C, D))
    after, problem = hear(links, source, at, 1.0)
    assert after is links
    assert "relays" in problem


def test_a_wire_that_was_plugged_elsewhere_is_believed_once_the_old_proof_is_gone():
    links = proven((A, C), now=LIFE_S, links=aged(proven((A, B)), LIFE_S))
    assert links.states == {(A, C): True}
    quick = proven((A, C), now=1.0, links=without(proven((A, B)), [A]))
    assert quick.states == {(A, C): True}


def test_a_wire_back_to_the_same_switch_is_no_link():
    links, problem = hear(Links(), A, LinkEnd(1, 2), 0.0)
    assert "own switch" in problem
    assert links == Links()


def test_ports_that_are_for_links_no_more_take_their_links_with_them():
    assert kept(proven((A, B), (C, D)), {A, B, C}).states == {(A, B): True}
    assert kept(aged(proven((A, B)), LIFE_S), {A}).states == {}
    whole = proven((A, B))
    assert kept(whole, {A, B}) is whole


NAMES = st.sampled_from("ABCD")
EVENTS = st.lists(st.tuples(st.sampled_from(["hear", "age", "cut"]), NAMES, NAMES, st.floats(0, 3)), max_size=30)


@given(EVENTS)
def test_a_port_has_at_most_one_link_whatever_happens(events):
    links, now = Links(), 0.0
    name = {"A": A, "B": B, "C": C, "D": D}
    for what, one, other, later in events:
        now += later
        if what == "hear":
            links, _ = hear(links, name[one], name[other], now)
        elif what == "age":
            links = aged(links, now)
        else:
            links = without(links, [name[one]])
        ends = [end for pair in links.up for end in pair]
        assert len(ends) == len(set(ends))
        assert {proof.at: source for source, proof in links.proofs.items()} == links.sources
        assert links.states == li._stated(links).states


# -- ways --------------------------------------------------------------------------------------


@st.composite
def wirings(draw, most=8):
    """Draw switches 1..n and links between them, parallel ones too; each port has one link."""
    count = draw(st.integers(2, most))
    pairs = draw(st.lists(st.tuples(st.integers(1, count), st.integers(1, count)), max_size=3 * count))
    links, used = set(), dict.fromkeys(range(1, count + 1), 0)
    for one, other in pairs:
        if one != other:
            used[one] += 1
            used[other] += 1
            links.add(tuple(sorted((LinkEnd(one, used[one]), LinkEnd(other, used[other])))))
    return frozenset(links), count


@given(wirings())
def test_every_shortest_port_leads_one_link_nearer_and_no_other_does(wiring):
    links, count = wiring
    wired = graph(links)
    for target in range(1, count + 1):
        reach, ways = distances(wired, target), ways_to(wired, target)
        assert set(ways) == set(reach) - {target}
        for here, way in ways.items():
            nearer = {p for p, n in wired[here].items() if reach[n] == reach[here] - 1}
            assert set(way.shortest) == nearer
            assert way.shortest
            assert not nearer.intersection(way.detours)
        assert reachable(wired, target) == set(ways)


@given(wirings())
def test_every_detour_leads_to_the_target_without_coming_back(wiring):
    links, count = wiring
    wired = graph(links)
    for target in range(1, count + 1):
        for here, way in ways_to(wired, target).items():
            around = distances(wired, target, without=here)
            lengths = [around[wired[here][port]] for port in way.detours]
            assert lengths == sorted(lengths)


def walk(wired, links, dead, start, target, turn, hops=16):
    """Walk as switches do that know only of their own ports that one link is dead; return whether it arrives."""
    broken = {end for pair in dead for end in pair}
    far = {one: other for pair in links for one, other in (pair, pair[::-1])}
    here, came_in = start, 0
    for _ in range(hops):
        if here == target:
            return True
        way = ways_to(wired, target)[here].avoiding(came_in)
        alive = [p for p in way.shortest if LinkEnd(here, p) not in broken]
        out = alive or [p for p in way.detours if LinkEnd(here, p) not in broken][:1]
        if not out and way.back and LinkEnd(here, came_in) not in broken:
            out = [came_in]
        if not out:
            return False
        end = far[LinkEnd(here, out[turn % len(out)])]
        here, came_in = end.dpid, end.ofport
    return False


def fat_tree():
    """Links of a fat tree of 4 pods: cores 1-4, pod p has aggregation p1, p2 and edges p3, p4 (times 10)."""
    used: dict[int, int] = {}

    def end(dpid):
        used[dpid] = used.get(dpid, 0) + 1
        return LinkEnd(dpid, used[dpid])

    links = set()
    for pod in (10, 20, 30, 40):
        for group, aggregation in enumerate((pod + 1, pod + 2)):
            for core in (1 + 2 * group, 2 + 2 * group):
                links.add(tuple(sorted((end(aggregation), end(core)))))
            for edge in (pod + 3, pod + 4):
                links.add(tuple(sorted((end(aggregation), end(edge)))))
    return frozenset(links)


def test_in_a_fat_tree_no_single_dead_link_loses_a_packet_before_anybody_computes_anew():
    links = fat_tree()
    wired = graph(links)
    edges = [pod + n for pod in (10, 20, 30, 40) for n in (3, 4)]
    assert len(ways_to(wired, 13)[23].shortest) == 2
    for dead in links:
        for start, target in ((13, 14), (13, 23), (43, 14), (24, 33)):
            assert start in edges
            for turn in range(4):
                assert walk(wired, links, {dead}, start, target, turn), (dead, start, target, turn)


@settings(max_examples=30)
@given(st.integers(3, 12), st.data())
def test_in_a_ring_no_single_dead_link_loses_a_packet(size, data):
    links = frozenset(
        tuple(sorted((LinkEnd(n, 1), LinkEnd(n % size + 1, 2)))) for n in range(1, size + 1)
    )  # fmt: skip
    dead = data.draw(st.sampled_from(sorted(links)))
    start, target = data.draw(st.permutations(range(1, size + 1)))[:2]
    assert walk(graph(links), links, {dead}, start, target, 0)

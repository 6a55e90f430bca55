"""Links between switches: what is kept over restarts, what is refused, and what the news say of them."""

import dataclasses
from datetime import UTC, datetime

import pytest

from topology import links as li
from topology.links import Links, dump_links, hear, load_links, remembered
from topology.map import LinkNode, Map, State
from topology.news import differences
from topology.paths import LinkEnd

A, B, C, D = LinkEnd(1, 1), LinkEnd(2, 1), LinkEnd(3, 1), LinkEnd(4, 1)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_what_is_written_down_is_read_again():
    pairs = {(A, B), (C, D)}
    assert load_links(dump_links(pairs)) == pairs
    assert dump_links(sorted(pairs)) == dump_links(sorted(pairs, reverse=True))
    assert remembered(pairs, 5.0).up == pairs


@pytest.mark.parametrize("raw", [dump_links([(A, B), (B, C)]), b"[[1, 2]]", b"[[1, 1, 2, null]]", b"{"])
def test_what_was_not_written_so_is_refused(raw):
    with pytest.raises((ValueError, TypeError)):
        load_links(raw)


def test_two_ports_cannot_be_heard_at_one():
    links, _ = hear(Links(), A, B, 0.0)
    after, problem = hear(links, C, B, 1.0)
    assert after is links
    assert "relays" in problem


def test_a_port_that_is_silent_makes_room_for_another():
    links, _ = hear(Links(), A, B, 0.0)
    links, problem = hear(links, C, B, li.LIFE_S)
    assert (problem, dict(links.sources)) == ("", {B: C})
    assert A not in links.proofs


def test_there_is_a_most_of_links(monkeypatch):
    monkeypatch.setattr(li, "MAX_LINKS", 1)
    links, _ = hear(Links(), A, B, 0.0)
    after, problem = hear(links, C, D, 0.0)
    assert after is links
    assert problem == "there are 1 links"


def test_news_of_a_link_are_that_it_came_up_or_went_down():
    up = LinkNode(A, B, State.UP, NOW)
    down = dataclasses.replace(up, state=State.DOWN)
    none, has, lost = Map(), Map(links={(A, B): up}), Map(links={(A, B): down})
    steps = [(none, has), (has, lost), (lost, none), (has, none), (none, lost)]
    assert [[n.kind for n in differences(*step)] for step in steps] == [
        ["link.up"],
        ["link.down"],
        [],
        ["link.down"],
        [],
    ]

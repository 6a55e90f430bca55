"""The datapath id of a bridge whose database was just started: vswitchd's own word is gone until it connects."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from site_kit import HOST, bridge, interface, port, site_of

FIXED = "00000000000000a1"


def told(other_config: dict[str, str], dpid: int | None = None):
    row = dataclasses.replace(bridge({1}, other_config=other_config), dpid=dpid)
    return site_of(row, port(1), interface(1))


def test_the_fixed_id_speaks_while_the_switch_is_silent() -> None:
    site = told({"datapath-id": FIXED})
    assert site.bridge(HOST, "br").dpid == 0xA1
    assert [i.dpid for i in site.interfaces()] == [0xA1]
    assert [b.dpid for b in site.bridges()] == [0xA1]


def test_what_the_switch_says_wins() -> None:
    assert told({"datapath-id": FIXED}, dpid=7).bridge(HOST, "br").dpid == 7


@pytest.mark.parametrize(
    "text", ["", "a1", "0" * 16, "zz" * 8, FIXED + "0", " " + FIXED[1:], "+" + FIXED[1:], "à" * 16]
)
def test_what_the_switch_would_not_take_for_an_id_is_none(text) -> None:
    assert told({"datapath-id": text}).bridge(HOST, "br").dpid is None

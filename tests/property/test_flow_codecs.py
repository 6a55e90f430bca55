"""Every way to write a flow down reads back as the same flow."""

from __future__ import annotations

import struct

from hypothesis import given, settings

from intent.compiler.render import flow_text, parse_flow
from ryu_apps import frames, wire
from ryu_apps.wire import Command, Kind
from ryu_apps.wire.messages import message
from tests.property.flow_strategies import flows
from tests.unit.test_wire import entry


@settings(max_examples=500)
@given(wanted=flows())
def test_every_flow_survives_the_wire(wanted) -> None:
    found = list(wire.decode_flow_stats(entry(wanted) * 2))
    assert [stats.flow for stats in found] == [wanted, wanted]
    assert (found[0].packets, found[0].bytes, found[0].age_s) == (7, 700, 3.5)


@settings(max_examples=200)
@given(wanted=flows())
def test_what_a_switch_would_report_passes_the_frame_check(wanted) -> None:
    frames.check(message(Kind.MULTIPART_REPLY, 1, struct.pack("!HH4x", 1, 0) + entry(wanted)))


@settings(max_examples=200)
@given(wanted=flows())
def test_a_bundled_flow_mod_is_the_plain_one_inside_an_envelope(wanted) -> None:
    for command in Command:
        plain = wire.encode_flow_mod(wanted, command, 77)
        (bundled,) = wire.bundle_flow_mods(9, 77, [(command, wanted)], wire.ATOMIC_ORDERED)
        assert bundled == wire.bundle_add(77, 9, plain)
        assert int.from_bytes(bundled[2:4], "big") == len(bundled)


@settings(max_examples=500)
@given(wanted=flows())
def test_every_flow_survives_its_text(wanted) -> None:
    assert parse_flow(flow_text(wanted)) == wanted


@settings(max_examples=100)
@given(wanted=flows())
def test_table_names_read_back_as_their_numbers(wanted) -> None:
    names = {number: f"t{number}" for number in range(0, 256, 3)}
    assert parse_flow(flow_text(wanted, names), names) == wanted

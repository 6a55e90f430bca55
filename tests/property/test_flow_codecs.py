"""Every way to write a flow down reads back as the same flow."""

from __future__ import annotations

import struct

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from intent.compiler import fields as f
from intent.compiler.flow import Conjunction, Flow, FlowBody, FlowKey, Load
from intent.compiler.render import flow_text, parse_flow
from ryu_apps import frames, wire
from ryu_apps.wire import Command, Kind
from ryu_apps.wire.messages import message
from ryu_apps.wire.stencil import FEWEST
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


def _varied(flow: Flow, number: int) -> Flow:
    """A flow of the same shape, most of whose numbers are others."""
    (table, priority, match), (actions, cookie, hard_timeout, _) = flow
    terms = tuple(term._replace(value=term.value ^ (number * 0x9E3779B97F4A7C15) & term.mask) for term in match)
    acts = tuple(
        act._replace(value=(act.value + number) % (1 << act.dst.bits))
        if isinstance(act, Load)
        else act._replace(id=(act.id + number) % (1 << 32))
        if isinstance(act, Conjunction)
        else act
        for act in actions
    )
    body = FlowBody(acts, (cookie + number) % (1 << 64), (hard_timeout + number) % 1000)
    return Flow(FlowKey(table, (priority + number) % 50_000, terms), body)


@settings(max_examples=150)
@given(kinds=st.lists(flows(), min_size=1, max_size=4), commands=st.lists(st.sampled_from(Command), min_size=1))
def test_many_flows_of_one_shape_are_the_bytes_of_each(kinds, commands) -> None:
    """Written many at once, with strangers between them, they are what the encoder of one flow makes of each."""
    changes = [
        (commands[n % len(commands)], _varied(kinds[n % len(kinds)], n // 2))
        for n in range(FEWEST * len(kinds) * len(commands))
    ]
    for term in [term for _, flow in changes for term in flow.key.match]:
        assume(term.value or term.field is not f.CT_NW_PROTO)
    found = frames.split(bytearray(b"".join(wire.bundle_flow_mods(9, 77, changes, wire.ATOMIC_ORDERED))), len(changes))
    wanted = [
        wire.bundle_add(xid, 9, wire.encode_flow_mod(flow, command, xid))
        for xid, (command, flow) in enumerate(changes, 77)
    ]
    assert sorted(found, key=lambda message: message[4:8]) == wanted


@settings(max_examples=500)
@given(wanted=flows())
def test_every_flow_survives_its_text(wanted) -> None:
    assert parse_flow(flow_text(wanted)) == wanted


@settings(max_examples=100)
@given(wanted=flows())
def test_table_names_read_back_as_their_numbers(wanted) -> None:
    names = {number: f"t{number}" for number in range(0, 256, 3)}
    assert parse_flow(flow_text(wanted, names), names) == wanted

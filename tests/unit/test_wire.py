"""The codec by itself: round trips, what it refuses to encode, and hostile bytes."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable
from contextlib import suppress

import pytest

from intent.compiler import fields as f
from intent.compiler.fields import Slice
from intent.compiler.flow import (
    CONTROLLER,
    IN_PORT,
    Conjunction,
    Ct,
    DecTtl,
    Flow,
    FlowBody,
    FlowKey,
    Goto,
    Load,
    Meter,
    Move,
    Output,
    OutputReg,
    Resubmit,
    SetQueue,
    Term,
    exact,
)
from ryu_apps import frames, wire
from ryu_apps.wire import Command, ForeignError, ForeignFlow, Kind, WireError, oxm
from ryu_apps.wire.actions import encode_instructions
from ryu_apps.wire.instructions import decode_actions, decode_instructions
from ryu_apps.wire.messages import message
from ryu_apps.wire.stencil import FEWEST
from tests.unit.test_frames_corpus import FLOW, HONEST

WHOLE_REG = Slice(f.REG[0], 0, 32)


def entry(flow: Flow, *, idle: int = 0, importance: int = 0) -> bytes:
    """A flow-stats entry as a switch would send it."""
    (table, priority, match), body = flow
    tail = oxm.encode_match(match) + encode_instructions(body.actions)
    head = (48 + len(tail), table, 3, 500_000_000, priority, idle, body.hard_timeout, 0, importance)
    return struct.pack("!HBxIIHHHHH2xQQQ", *head, body.cookie, 7, 700) + tail


def flow(match: tuple[Term, ...] = (), actions: tuple[object, ...] = (), **body: int) -> Flow:
    return Flow(FlowKey(1, 2, match), FlowBody(actions, body.get("cookie", 3), body.get("timeout", 0)))


def test_a_flow_mod_byte_by_byte() -> None:
    encoded = wire.encode_flow_mod(flow((exact(f.IN_PORT, 5),), (Output(7), Goto(9)), cookie=0xAB), Command.ADD, 1)
    assert encoded.hex() == (
        "050e006000000001" + "00000000000000ab" + "0000000000000000"
        "0100000000000002" + "ffffffff" * 3 + "00000000"
        "0001000c80000004" + "0000000500000000"
        "0004001800000000" + "0000001000000007" + "0000000000000000" + "0001000809000000"
    )  # fmt: skip


def messages_of(pieces: Iterable[bytes]) -> list[bytes]:
    """The messages in what a bundle sends."""
    stream = bytearray(b"".join(pieces))
    return frames.split(stream, 1 << 16)


def test_transaction_ids_count_up_and_wrap() -> None:
    changes = [(Command.ADD, flow())] * 3
    messages = messages_of(wire.bundle_flow_mods(1, 0xFFFFFFFF, changes, wire.ATOMIC_ORDERED))
    assert [(m[4:8].hex(), m[20:24].hex()) for m in messages] == [
        ("ffffffff", "ffffffff"), ("00000000", "00000000"), ("00000001", "00000001"),
    ]  # fmt: skip


def test_deleting_does_not_even_look_at_the_actions() -> None:
    impossible = flow((), (Goto(3), Meter(1)))
    assert len(wire.encode_flow_mod(impossible, Command.DELETE_STRICT, 1)) == 56


REFUSED = {
    "a mask where the switch takes none": flow((Term(f.IP_PROTO, 0, 1),)),
    "a value outside its mask": flow((Term(f.REG[0], 3, 1),)),
    "a value too wide": flow((Term(f.REG[0], 1 << 32, 1 << 32),)),
    "a zero that the switch does not report": flow((exact(f.CT_NW_PROTO, 0),)),
    "goto before the end": flow((), (Goto(3), Output(1))),
    "a meter after the beginning": flow((), (Output(1), Meter(1))),
    "table 255": flow((), (Resubmit(255),)),
    "goto 300": flow((), (Goto(300),)),
    "a load that does not fit": flow((), (Load(Slice(f.REG[0], 0, 4), 16),)),
    "a negative load": flow((), (Load(WHOLE_REG, -1),)),
    "a load beyond its field": flow((), (Load(Slice(f.REG[0], 30, 4), 1),)),
    "a load of 96 of 128 bits": flow((), (Load(Slice(f.CT_LABEL, 0, 96), 1),)),
    "a load into a field that cannot be written": flow((), (Load(Slice(f.CT_STATE, 0, 32), 1),)),
    "a move between widths": flow((), (Move(WHOLE_REG, Slice(f.REG[1], 0, 16)),)),
    "a move to a field that cannot be written": flow((), (Move(WHOLE_REG, Slice(f.CONJ_ID, 0, 32)),)),
    "an empty slice": flow((), (Move(Slice(f.REG[0], 0, 0), Slice(f.REG[1], 0, 0)),)),
    "a conjunction beside another action": flow((), (Conjunction(1, 1, 2), Output(1))),
    "a conjunction after another action": flow((), (Output(1), Conjunction(1, 1, 2))),
    "a conjunction of one clause": flow((), (Conjunction(1, 1, 1),)),
    "clause 3 of 2": flow((), (Conjunction(1, 3, 2),)),
    "clause 0": flow((), (Conjunction(1, 0, 2),)),
    "a conjunction id of 33 bits": flow((), (Conjunction(1 << 32, 1, 2),)),
    "65 clauses": flow((), (Conjunction(1, 1, 65),)),
    "5,000 conjunctions": flow((), tuple(Conjunction(n, 1, 2) for n in range(5000))),
    "max_len for a port": flow((), (Output(5, 128),)),
    "max_len of 17 bits": flow((), (Output(CONTROLLER, 1 << 16),)),
    "a port of 33 bits": flow((), (Output(1 << 32),)),
    "an output to a slice beyond its register": flow((), (OutputReg(Slice(f.REG[0], 20, 16)),)),
    "force without commit": flow((), (Ct(1, force=True),)),
    "exec without commit": flow((), (Ct(1, exec=(Load(Slice(f.CT_MARK, 0, 32), 1),)),)),
    "exec into a register": flow((), (Ct(1, commit=True, exec=(Load(WHOLE_REG, 1),)),)),
    "a zone of 32 bits": flow((), (Ct(WHOLE_REG),)),
    "zone 65536": flow((), (Ct(65536),)),
    "a cookie of 65 bits": flow(cookie=1 << 64),
    "a timeout of 17 bits": flow(timeout=1 << 16),
    "priority 65536": Flow(FlowKey(1, 1 << 16, ()), FlowBody((), 0)),
    "table 256": Flow(FlowKey(256, 1, ()), FlowBody((), 0)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_flow_without_a_form_is_refused_and_says_why(name) -> None:
    with pytest.raises(WireError, match=r"\w+.*\w"):
        wire.encode_flow_mod(REFUSED[name], Command.ADD, 1)
    with pytest.raises(WireError):
        list(wire.bundle_flow_mods(1, 1, [(Command.ADD, REFUSED[name])], wire.ATOMIC_ORDERED))
    with pytest.raises(WireError):  # however many there are of them
        list(wire.bundle_flow_mods(1, 1, [(Command.ADD, REFUSED[name])] * 99, wire.ATOMIC_ORDERED))


# -- one meaning, several encodings -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "meaning"),
    [
        ("0019 0010 00010004 00000005 00000000", Load(WHOLE_REG, 5)),
        ("ffff 0018 00002320 0007 001f 00010004 0000000000000005", Load(WHOLE_REG, 5)),
        ("ffff 0018 00002320 0021 000000000000 00010004 00000005", Load(WHOLE_REG, 5)),
        ("ffff 0020 00002320 0021 000000000000 00010108 00000050 000000f0 00000000", Load(Slice(f.REG[0], 4, 4), 5)),
        ("0019 0010 8000 0606 000000000007 0000", Load(Slice(f.ETH_DST, 0, 48), 7)),
        ("0019 0010 0000 0206 000000000007 0000", Load(Slice(f.ETH_DST, 0, 48), 7)),
        (
            "ffff 0018 00002320 0006 0010 0000 0000 00000002 00010004",
            Move(Slice(f.IN_PORT, 0, 16), Slice(f.REG[0], 0, 16)),
        ),
        ("ffff 0010 00002320 0014 0080 0000 01 00", Output(CONTROLLER, 128)),
        ("0000 0010 00000005 ffff 000000000000", Output(5)),
        ("0018 0008 00000000", DecTtl()),
        ("0015 0008 00000005", SetQueue(5)),
        ("0000 0010 fffffff8 0000 000000000000", Output(IN_PORT)),
        ("ffff 0018 00002320 0020 000f ffff 00010204 000000000000", OutputReg(Slice(f.REG[1], 0, 16))),
    ],
)
def test_encodings_of_one_meaning_give_one_value(raw, meaning) -> None:
    assert decode_actions(bytes.fromhex(raw)) == (meaning,)


CT = "ffff 0030 00002320 0023 0001 00000000 0007 ff 000000 0000"


@pytest.mark.parametrize(
    "raw",
    [
        "0017 0008 00000005",
        "ffff 0010 00002320 0001 0005 00 000000",
        "ffff 0010 00002320 000e 0005 03 000000",
        "ffff 0010 00002320 0014 0080 0007 00 00",
        "ffff 0010 00000bad 0006 000000000000",
        "ffff 0018 00002320 0007 003f 00010004 0000000000000005",
        "ffff 0018 00002320 0007 0003 00010004 0000000000000055",
        "ffff 0018 00002320 0007 001f 0001c204 0000000000000005",
        "ffff 0018 00002320 0023 0001 00000000 0007 ff 000000 0015",
        "ffff 0018 00002320 0023 0101 00000000 0007 ff 000000 0000",
        CT + "ffff 0018 00002320 0024 0000 0001 0003 0a000001 0a000009",
        CT.replace("0030", "0028") + "ffff 0010 00002320 0024 0000 0004 0000",
        CT + "ffff 0018 00002320 0024 0000 0000 0010 0050 000000000000",
        "ffff 0020 00002320 0021 000000000000 00010108 00000050 00000050 00000000",
    ],
)
def test_an_action_that_is_none_of_ours_is_foreign(raw) -> None:
    with pytest.raises(ForeignError):
        decode_actions(bytes.fromhex(raw))


def test_the_conjunctions_of_a_flow_come_sorted() -> None:
    clauses = (Conjunction(9, 1, 2), Conjunction(3, 2, 2), Conjunction(3, 1, 2))
    assert decode_instructions(encode_instructions(clauses)) == tuple(sorted(clauses, key=lambda c: (c.id, c.clause)))


def test_tcp_flags_and_packet_type_are_read_as_openflow_1_4_reports_them() -> None:
    packet_type = bytes.fromhex("8000580400000000")
    exactly = bytes.fromhex("ffff54064f4e46000012")
    masked = bytes.fromhex("ffff55084f4e460000020012")
    assert oxm.decode_terms(packet_type + exactly, 0, 18) == (exact(f.TCP_FLAGS, 0x12),)
    assert oxm.decode_terms(masked, 0, 12) == (Term(f.TCP_FLAGS, 2, 0x12),)


def test_a_timeout_is_reported_as_what_is_left_of_it() -> None:
    (stats,) = wire.decode_flow_stats(entry(flow(timeout=10)))
    assert stats.remaining_s == 6.5
    (stats,) = wire.decode_flow_stats(entry(flow(timeout=2)))
    assert stats.remaining_s == 0
    (stats,) = wire.decode_flow_stats(entry(flow()))
    assert stats.remaining_s is None


# -- foreign and hostile ------------------------------------------------------------------------------


@pytest.mark.parametrize(("extra", "known"), [({"idle": 5}, True), ({"importance": 5}, True)])
def test_a_flow_with_what_ours_never_have_is_foreign_but_keeps_its_key(extra, known) -> None:
    ours = flow((exact(f.REG[0], 1),), (Output(1),))
    (found,) = wire.decode_flow_stats(entry(ours, **extra))
    assert isinstance(found, ForeignFlow)
    assert (found.key == ours.key) is known


def test_a_foreign_flow_is_deleted_by_the_bytes_of_its_match() -> None:
    raw = bytes.fromhex("0001000d8000540405060708") + b"\x09"
    foreign = ForeignFlow(3, 100, raw, 5, "a reason", None)
    encoded = wire.encode_delete_strict(foreign, 9)
    assert encoded[48:] == raw + bytes(3)
    assert (encoded[24], encoded[25], int.from_bytes(encoded[2:4], "big")) == (3, Command.DELETE_STRICT, len(encoded))


def test_hostile_flow_stats_end_in_a_wire_error_or_a_flow_and_never_otherwise() -> None:
    chance = random.Random(4)
    good = FLOW.raw
    kinds = set()
    for _ in range(5000):
        bent = bytearray(good)
        for _ in range(chance.choice((1, 2, 5))):
            bent[chance.randrange(len(bent))] = chance.choice((0, 1, 8, 0x7F, 0xFF, chance.randrange(256)))
        del bent[chance.choice((len(bent), chance.randrange(len(bent)))) :]
        try:
            kinds |= {type(found).__name__ for found in wire.decode_flow_stats(bytes(bent))}
        except WireError:
            kinds.add("error")
    assert kinds >= {"ForeignFlow", "error"}


_DECODERS = {
    "error": wire.decode_error,
    "features reply": wire.decode_features,
    "packet in": wire.decode_packet_in,
    "flow removed": wire.decode_flow_removed,
    "port status": wire.decode_port_status,
    "role reply": wire.decode_role_reply,
    "bundle reply": wire.decode_bundle_control,
    "ports": lambda m: list(wire.decode_ports(m[16:])),
    "meters": lambda m: list(wire.decode_meters(m[16:])),
    "aggregate": lambda m: wire.decode_aggregate(m[16:]),
    "table stats": lambda m: wire.decode_table_stats(m[16:]),
    "flow monitor": lambda m: list(wire.decode_flow_monitor(m[16:])),
}


@pytest.mark.parametrize("name", _DECODERS)
def test_every_truncation_and_many_mutations_of_a_message_decode_or_raise_wire_error(name) -> None:
    raw, decode = HONEST[name].raw, _DECODERS[name]
    decode(raw)
    chance = random.Random(name)
    bent = [raw[:size] for size in range(len(raw))]
    for _ in range(500):
        changed = bytearray(raw)
        changed[chance.randrange(8, len(raw))] = chance.randrange(256)
        bent.append(bytes(changed))
    for frame in bent:
        with suppress(WireError):
            decode(frame)


def test_values_of_decoded_messages() -> None:
    told = wire.decode_packet_in(HONEST["packet in"].raw)
    assert (told.in_port, told.cookie, told.table, told.data) == (3, 9, 3, bytes(60))
    removed = wire.decode_flow_removed(HONEST["flow removed"].raw)
    assert (removed.key.table, removed.key.priority, removed.cookie, removed.reason) == (3, 100, 9, 1)
    reason, port = wire.decode_port_status(HONEST["port status"].raw)
    assert (reason, port.ofport, port.name) == (2, 3, "web0")
    error = wire.decode_error(HONEST["error"].raw)
    assert (error.name, error.xid) == ("BAD_MATCH/BAD_FIELD", 7)
    assert wire.decode_error(HONEST["error of an experimenter"].raw).name == "type 65535, code 6"
    assert wire.is_flow_stats(HONEST["flow stats"].raw)
    assert not wire.is_flow_stats(HONEST["aggregate"].raw)
    assert wire.decode_multipart(HONEST["aggregate"].raw) == (wire.Multipart.AGGREGATE, False, bytes(24))


@pytest.mark.parametrize("terms", [(), (f.REG[0], f.REG[0])])
def test_a_packet_in_names_its_port_once(terms) -> None:
    body = b"".join(oxm.encode_match((exact(field, 1),))[4:12] for field in terms)
    match = struct.pack("!HH", 1, 4 + len(body)) + body
    frame = message(Kind.PACKET_IN, 1, bytes(16) + match + bytes(-len(match) % 8) + bytes(2))
    with pytest.raises(WireError, match="in_port"):
        wire.decode_packet_in(frame)


def test_messages_that_do_not_fit_are_refused() -> None:
    with pytest.raises(WireError, match="65535"):
        wire.packet_out(1, 1, (), bytes(65_530))
    with pytest.raises(WireError, match="Goto last"):
        wire.packet_out(1, 1, (Goto(1),), b"")


def test_an_expected_flow_is_recognized_once_and_its_counters_are_kept() -> None:
    ours = flow((exact(f.REG[1], 5), exact(f.CONJ_ID, 9)), (Output(7), Goto(9)))
    expected = wire.Expected([ours])
    said = _as_dumped(ours)
    (second,) = wire.decode_unexpected(said * 2, expected)
    assert isinstance(second, wire.FlowStats)
    assert second.flow == ours, "a second of the kind is decoded"
    assert expected.counts == {ours.body.cookie: (7, 700)}, "it is not counted as the expected one"
    assert expected.missing() == []


def test_many_flows_are_recognized_whatever_their_sizes_and_strangers_among_them_are_told() -> None:
    flows = [flow((exact(f.REG[1], n),), (Output(n + 1), Goto(9))) for n in range(60)]
    flows += [flow((exact(f.REG[1], n), exact(f.REG[2], 1)), (Output(n + 1), Goto(9))) for n in range(60)]
    chance = random.Random(7)
    for turn in range(20):
        said = flows.copy() if turn else flows[:60] * 2
        chance.shuffle(said)
        ours, strange = said[turn:], said[:turn]
        dumped = [*ours, *strange]
        chance.shuffle(dumped)
        expected = wire.Expected(dict(ours).items())
        found = list(wire.decode_unexpected(b"".join(map(_as_dumped, dumped)), expected))
        assert len(found) == turn or not turn
        assert {one.flow for one in found} <= {*strange, *flows[:60]}
        assert expected.missing() == []
        assert expected.counts == {flows[0].body.cookie: (7 * len(dict(ours)), 700 * len(dict(ours)))}


def test_a_reply_of_expected_flows_that_is_bent_or_cut_ends_in_a_wire_error_or_in_other_flows() -> None:
    chance, kinds = random.Random(5), set()
    flows = [flow((exact(f.REG[1], n),), (Output(n + 1),)) for n in range(8)]
    good = b"".join(map(_as_dumped, flows))
    for _ in range(2000):
        bent, expected = bytearray(good), wire.Expected(flows)
        bent[chance.randrange(len(bent))] = chance.choice((0, 1, 8, 0x7F, 0xFF, chance.randrange(256)))
        del bent[chance.choice((len(bent), chance.randrange(len(bent)))) :]
        try:
            found = list(wire.decode_unexpected(bytes(bent), expected))
            kinds |= {type(one).__name__ for one in found}
            assert len(found) <= len(expected.missing())
        except WireError:
            kinds.add("error")
    assert kinds >= {"FlowStats", "error"}


@pytest.mark.parametrize("at", [2, 13, 15, 17, 21, 31, 56, -4])
def test_a_flow_that_differs_in_any_byte_that_counts_is_not_the_expected_one(at: int) -> None:
    ours = flow((exact(f.REG[1], 5),), (Output(7), Goto(9)))
    bent = bytearray(_as_dumped(ours))
    bent[at] ^= 1
    expected = wire.Expected([ours])
    (found,) = wire.decode_unexpected(bytes(bent), expected)
    assert isinstance(found, ForeignFlow) or found.flow != ours
    assert expected.missing() == [ours.key]


def test_what_ends_by_itself_or_has_no_form_is_never_expected() -> None:
    ends, formless = flow((exact(f.REG[1], 5),)), flow((exact(f.CT_NW_PROTO, 0),))
    ends = ends._replace(body=ends.body._replace(expires_at=99))
    assert wire.Expected([ends, formless]).missing() == [ends.key, formless.key]


def _as_dumped(ours: Flow) -> bytes:
    """An entry whose match stands in the order of Open vSwitch: conj_id before registers."""
    terms = tuple(sorted(ours.key.match, key=lambda term: term.field is not f.CONJ_ID))
    return entry(ours._replace(key=ours.key._replace(match=terms)))


def test_a_number_too_large_for_its_field_is_refused_among_many_flows_too():
    """A MAC has 48 bits and is written from columns of 64: it must not lose the upper ones in silence."""
    load = f.whole(f.ETH_SRC)
    flows = [Flow(FlowKey(1, n, ()), FlowBody((Load(load, (1 << 48) + n),), 0)) for n in range(FEWEST)]
    with pytest.raises(WireError, match="48 bits of eth_src"):
        list(wire.bundle_flow_mods(1, 1, [(Command.ADD, flow) for flow in flows], wire.ATOMIC_ORDERED))

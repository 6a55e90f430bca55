"""The codec against a real Open vSwitch: what our bytes install is what the switch reports back."""

from __future__ import annotations

import gc
import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, given, settings

from intent.compiler import fields as f
from intent.compiler.fields import Slice
from intent.compiler.flow import (
    CONTROLLER,
    Conjunction,
    Flow,
    FlowBody,
    FlowKey,
    Goto,
    Load,
    Output,
    Resubmit,
    exact,
    match_of,
)
from intent.compiler.render import flow_text
from ryu_apps import frames, wire
from ryu_apps.wire import Command, ForeignFlow, Kind
from tests.property.flow_strategies import METERS, flows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mininet_scenarios.private_ovs import PrivateOvs


class Channel:
    """A plain OpenFlow 1.4 connection to a bridge's management socket; checks every frame it gets."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(str(path))
        self.buffer = bytearray()
        self.xid = 1000
        self.send(wire.hello(1))
        assert self.receive()[1] == Kind.HELLO

    def close(self) -> None:
        self.socket.close()

    def send(self, *messages: bytes) -> None:
        self.socket.sendall(b"".join(messages))

    def receive(self) -> bytes:
        while not (found := frames.split(self.buffer, limit=1)):
            data = self.socket.recv(1 << 16)
            assert data, "the switch closed the connection"
            self.buffer += data
        frames.check(found[0])
        return found[0]

    def ask(self, *messages: bytes) -> list[bytes]:
        """Send, and return every message until the switch has done it all."""
        self.xid += 1
        self.send(*messages, wire.barrier_request(self.xid))
        answers = []
        while (answer := self.receive())[1] != Kind.BARRIER_REPLY:
            if answer[1] == Kind.ECHO_REQUEST:
                self.send(wire.echo_reply(int.from_bytes(answer[4:8], "big"), answer[8:]))
            else:
                answers.append(answer)
        return answers

    def refusals(self, *messages: bytes) -> list[wire.SwitchError]:
        return [wire.decode_error(m) for m in self.ask(*messages) if m[1] == Kind.ERROR]

    def parts(self) -> list[bytes]:
        """The bodies of a dump of all tables."""
        return [wire.decode_multipart(m).body for m in self.ask(wire.flow_stats_request(7))]

    def dump(self) -> list[wire.FlowStats | ForeignFlow]:
        return wire.decode_dump(self.parts())

    def holds(self) -> dict[FlowKey, FlowBody]:
        """What is installed; a foreign flow fails the test."""
        dumped = self.dump()
        assert [entry for entry in dumped if isinstance(entry, ForeignFlow)] == []
        return dict(entry.flow for entry in dumped if isinstance(entry, wire.FlowStats))

    def clear(self) -> None:
        assert self.refusals(wire.encode_delete_all(1)) == []

    def commit(self, changes: Iterable[tuple[Command, Flow]], bundle_id: int = 1) -> list[wire.SwitchError]:
        """One atomic bundle; returns what the switch refused. Commits only what was taken whole."""
        messages = wire.bundle_flow_mods(bundle_id, 5000, changes, wire.ATOMIC_ORDERED)
        refused = self.refusals(wire.bundle_control(1, bundle_id, wire.BundleStep.OPEN_REQUEST), *messages)
        last = wire.BundleStep.DISCARD_REQUEST if refused else wire.BundleStep.COMMIT_REQUEST
        return refused + self.refusals(wire.bundle_control(2, bundle_id, last))


@pytest.fixture
def channel(session_ovs: PrivateOvs, unique_bridge: str) -> Iterator[Channel]:
    with closing(Channel(session_ovs.directory / f"{unique_bridge}.mgmt")) as channel:
        yield channel


@pytest.fixture
def metered(channel: Channel) -> Channel:
    """A switch that holds the meters of random flows."""
    meters = [wire.meter_mod(1, wire.MeterCommand.ADD, wire.MeterSpec(number, 100, 10)) for number in METERS]
    assert channel.refusals(*meters) == []
    return channel


@pytest.fixture(scope="module")
def wanted() -> list[Flow]:
    """Some hundreds of random flows with keys of their own; the same in every run."""
    found: dict[FlowKey, Flow] = {}

    @settings(max_examples=500, database=None, deadline=None, derandomize=True, phases=[Phase.generate])
    @given(flow=flows())
    def collect(flow: Flow) -> None:
        found[flow.key] = flow

    collect()
    return list(found.values())


def test_what_our_bytes_install_is_reported_back_equal(metered, wanted) -> None:
    metered.clear()
    assert metered.refusals(*(wire.encode_flow_mod(flow, Command.ADD, n) for n, flow in enumerate(wanted))) == []
    assert metered.holds() == dict(wanted)


def test_nearly_all_that_our_bytes_install_is_recognized_in_a_dump_without_decoding(metered, wanted) -> None:
    metered.clear()
    assert not metered.commit([(Command.ADD, flow) for flow in wanted])
    expected = wire.Expected(wanted)
    decoded = [stats for body in metered.parts() for stats in wire.decode_unexpected(body, expected)]
    program = {flow.key: flow.body for flow in wanted}
    assert {s.flow.key: s.flow.body for s in decoded} == {key: program[key] for key in expected.missing()}
    assert len(decoded) <= 0.1 * len(wanted)


def test_text_installed_by_ovs_ofctl_is_reported_back_equal(metered, session_ovs, unique_bridge, wanted) -> None:
    metered.clear()
    session_ovs.ofctl("add-flows", unique_bridge, "-", text="\n".join(flow_text(flow) for flow in wanted))
    assert metered.holds() == dict(wanted)


def test_strict_deletion_by_key_and_by_reported_match_leaves_nothing(metered, wanted) -> None:
    metered.clear()
    assert metered.commit((Command.ADD, flow) for flow in wanted) == []
    half = len(wanted) // 2
    entries = {entry.flow.key: part for entry, part in zip(metered.dump(), _raw_matches(metered.parts()), strict=True)}
    by_match = [ForeignFlow(k.table, k.priority, entries[k], 0, "", None) for k, _ in wanted[:half]]
    assert metered.refusals(*(wire.encode_delete_strict(flow, 1) for flow in by_match)) == []
    assert metered.holds() == dict(wanted[half:])
    assert metered.commit((Command.DELETE_STRICT, flow) for flow in wanted[half:]) == []
    assert metered.holds() == {}


def _raw_matches(bodies: list[bytes]) -> list[bytes]:
    found = []
    for body in bodies:
        at = 0
        while at < len(body):
            size = int.from_bytes(body[at + 50 : at + 52], "big")
            found.append(body[at + 48 : at + 48 + size])
            at += int.from_bytes(body[at : at + 2], "big")
    return found


# -- bundles ----------------------------------------------------------------------------------------


def _flow(number: int, table: int = 0, timeout: int = 0, cookie: int = 1) -> Flow:
    acts = (Load(Slice(f.REG[0], 0, 32), number), Goto(table + 1))
    return Flow(FlowKey(table, 100, match_of([exact(f.REG[1], number)])), FlowBody(acts, cookie, timeout))


_BACKWARDS = Flow(FlowKey(9, 1, ()), FlowBody((Resubmit(3), Goto(3)), 0))
"""A flow that the switch refuses: goto only leads to later tables."""


def test_a_message_refused_on_its_way_into_a_bundle_is_named_and_nothing_is_left(channel) -> None:
    kept = _flow(1)
    assert channel.commit([(Command.ADD, kept)]) == []
    refused = channel.commit(
        [(Command.ADD, _flow(2)), (Command.DELETE_STRICT, kept), (Command.ADD, _BACKWARDS), (Command.ADD, _flow(3))]
    )
    assert [error.xid for error in refused] == [5002]
    assert channel.holds() == dict([kept])


def test_open_vswitch_commits_what_is_left_of_a_bundle_that_lost_a_message(channel) -> None:
    """Why a commit must wait until every message is known to be taken: the flag ATOMIC does not see to it."""
    adds = wire.bundle_flow_mods(1, 5000, [(Command.ADD, _BACKWARDS), (Command.ADD, _flow(2))], wire.ATOMIC_ORDERED)
    first, last = (
        wire.bundle_control(1, 1, step) for step in (wire.BundleStep.OPEN_REQUEST, wire.BundleStep.COMMIT_REQUEST)
    )
    assert [error.xid for error in channel.refusals(first, *adds, last)] == [5000]
    assert channel.holds() == dict([_flow(2)])


def test_an_error_at_the_commit_leaves_nothing(channel, session_ovs, unique_bridge) -> None:
    full = ["--", "--id=@t", "create", "Flow_Table", "flow_limit=2", "overflow_policy=refuse"]
    session_ovs.vsctl("set", "Bridge", unique_bridge, "flow_tables:3=@t", *full)
    kept = _flow(1)
    assert channel.commit([(Command.ADD, kept)]) == []
    too_many = [(Command.ADD, _flow(n, table=3)) for n in range(4)]
    refused = channel.commit([(Command.DELETE_STRICT, kept), (Command.ADD, _flow(2)), *too_many])
    assert [error.name for error in refused] == ["FLOW_MOD_FAILED/TABLE_FULL", "BUNDLE_FAILED/MSG_FAILED"]
    assert refused[0].xid == 5004
    assert channel.holds() == dict([kept])


def test_a_commit_is_answered_by_its_own_reply(channel) -> None:
    opened = wire.bundle_control(41, 7, wire.BundleStep.OPEN_REQUEST)
    adds = wire.bundle_flow_mods(7, 100, [(Command.ADD, _flow(5))], wire.ATOMIC_ORDERED)
    replies = [
        wire.decode_bundle_control(m)
        for m in channel.ask(opened, *adds, wire.bundle_control(43, 7, wire.BundleStep.COMMIT_REQUEST))
    ]
    assert [reply.step for reply in replies] == [wire.BundleStep.OPEN_REPLY, wire.BundleStep.COMMIT_REPLY]


def test_a_discarded_bundle_changes_nothing(channel) -> None:
    opened = wire.bundle_control(1, 3, wire.BundleStep.OPEN_REQUEST)
    inner = wire.bundle_add(2, 3, wire.encode_flow_mod(_flow(1), Command.ADD, 0))
    assert channel.refusals(opened, inner, wire.bundle_control(3, 3, wire.BundleStep.DISCARD_REQUEST)) == []
    assert channel.holds() == {}


# -- what changes and what stays --------------------------------------------------------------------


def test_adding_again_takes_the_new_cookie_and_timeout_and_starts_the_age_anew(channel) -> None:
    assert channel.commit([(Command.ADD, _flow(1, timeout=1000, cookie=1))]) == []
    time.sleep(2)
    before = channel.dump()[0]
    assert channel.commit([(Command.ADD, _flow(1, timeout=2000, cookie=2))]) == []
    after = channel.dump()[0]
    assert (before.flow, after.flow) == (_flow(1, timeout=1000, cookie=1), _flow(1, timeout=2000, cookie=2))
    assert before.age_s > 1.9 > after.age_s
    assert 1998 < after.remaining_s <= 2000


def test_a_modify_keeps_cookie_and_timeout(channel) -> None:
    first = _flow(1, timeout=1000, cookie=1)
    changed = Flow(first.key, FlowBody((), 2, 2000))
    assert channel.commit([(Command.ADD, first), (Command.MODIFY_STRICT, changed)]) == []
    assert channel.holds() == {first.key: FlowBody((), 1, 1000)}


FOREIGN = (
    "table=3,priority=7,pkt_mark=5,actions=drop",
    "table=3,priority=8,metadata=5,in_port=3,actions=drop",
    "table=3,priority=9,tun_metadata0=0x55,actions=normal",
    "table=3,priority=10,tcp,actions=learn(table=4,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[]),normal",
    "table=3,priority=11,ip,idle_timeout=60,actions=dec_ttl,output:1",
    "table=3,priority=12,ip,actions=ct(commit,nat(src=10.0.0.1-10.0.0.9))",
    "table=3,priority=13,ip,actions=clone(output:1),note:00.01",
    "table=3,priority=14,actions=controller(reason=no_match,id=7,userdata=01.02)",
    "table=3,priority=15,importance=3,actions=output:2",
    "table=3,priority=16,actions=push_vlan:0x8100,set_field:4097->vlan_vid,enqueue:1:2",
    "table=3,priority=17,mpls,mpls_label=5,actions=write_actions(output:1)",
    "table=3,priority=18,actions=set_queue:7,local,controller(max_len=9,id=3)",
    "table=3,priority=19,actions=resubmit:5,bundle(eth_src,0,hrw,ofport,members:4,8)",
    "table=3,priority=20,actions=write_metadata:0x5,goto_table:4",
    "table=3,priority=21,tcp,tcp_dst=80,actions=multipath(symmetric_l4,1024,hrw,4,0,NXM_NX_REG0[0..1])",
)


def test_foreign_flows_do_not_break_a_dump_and_can_be_deleted_strictly(channel, session_ovs, unique_bridge) -> None:
    ours = _flow(1)
    session_ovs.ofctl("add-tlv-map", unique_bridge, "{class=0xffff,type=0,len=4}->tun_metadata0")
    session_ovs.ofctl("add-flows", unique_bridge, "-", text="\n".join(FOREIGN))
    assert channel.commit([(Command.ADD, ours)]) == []
    foreign = [entry for entry in channel.dump() if isinstance(entry, ForeignFlow)]
    assert sorted(entry.priority for entry in foreign) == list(range(7, 22))
    assert all(entry.reason for entry in foreign)
    assert channel.refusals(*(wire.encode_delete_strict(entry, 1) for entry in foreign)) == []
    assert channel.holds() == dict([ours])


# -- the other messages -----------------------------------------------------------------------------


def test_a_flow_monitor_tells_of_foreign_hands_and_abbreviates_ours(channel, session_ovs, unique_bridge) -> None:
    channel.ask(wire.flow_monitor_request(1, 1))
    session_ovs.ofctl("add-flow", unique_bridge, "table=5,priority=3,cookie=0x9,in_port=2,actions=drop")
    channel.send(wire.encode_flow_mod(_flow(1), Command.ADD, 77))
    parts = [wire.decode_multipart(m) for m in channel.ask()]
    changes = [change for part in parts for change in wire.decode_flow_monitor(part.body)]
    assert wire.FlowChange(1, None, FlowKey(5, 3, (exact(f.IN_PORT, 2),)), 9) in changes
    assert wire.FlowChange(4, 77) in changes


def test_a_packet_out_comes_back_as_packet_in_with_cookie_and_registers(channel) -> None:
    send_up = Flow(FlowKey(1, 5, match_of([exact(f.REG[0], 9)])), FlowBody((Output(CONTROLLER, 65535),), 0xABCD))
    start = Flow(FlowKey(0, 5, ()), FlowBody((Load(Slice(f.REG[0], 0, 32), 9), Resubmit(1)), 1))
    assert channel.commit([(Command.ADD, send_up), (Command.ADD, start)]) == []
    channel.ask(wire.set_async(1, {wire.AsyncKind.PACKET_IN: 0x3F}, {wire.AsyncKind.PACKET_IN: 0x3F}))
    packet = bytes.fromhex("ffffffffffff02000000000188b5") + bytes(range(46))
    in_table = 0xFFFFFFF9
    answers = channel.ask(wire.packet_out(5, 0xFFFFFFFE, (Output(in_table),), packet), wire.set_config(6, 128))
    arrived = [m for m in answers if m[1] == Kind.PACKET_IN] or [channel.receive()]
    told = wire.decode_packet_in(arrived[0])
    assert (told.cookie, told.table, told.data, told.in_port) == (0xABCD, 1, packet, 0xFFFFFFFE)
    assert exact(f.REG[0], 9) in told.metadata


def test_roles_a_stale_generation_is_refused(channel) -> None:
    answers = channel.ask(wire.role_request(1, wire.Role.MASTER, 2**63 + 5))
    assert wire.decode_role_reply(answers[0]) == wire.RoleReply(wire.Role.MASTER, 2**63 + 5)
    refused = channel.refusals(wire.role_request(2, wire.Role.MASTER, 2**63 + 4))
    assert [error.name for error in refused] == ["ROLE_REQUEST_FAILED/STALE"]


def test_meters_ports_aggregates_tables_and_features_are_reported(metered, unique_bridge) -> None:
    assert metered.commit([(Command.ADD, _flow(n)) for n in range(5)]) == []
    kinds = [wire.Multipart.PORT_DESC, wire.Multipart.TABLE, wire.Multipart.DESC, wire.Multipart.TABLE_FEATURES]
    requests = [wire.multipart_request(n, kind) for n, kind in enumerate(kinds)]
    asked = metered.ask(wire.meter_config_request(9), wire.aggregate_request(9), wire.features_request(9), *requests)
    bodies: dict[int, bytes] = {}
    for message in asked:
        if message[1] == Kind.MULTIPART_REPLY:
            part = wire.decode_multipart(message)
            bodies[part.kind] = bodies.get(part.kind, b"") + part.body
    wanted = {(number, wire.MeterSpec(number, 100, 10)) for number in METERS}
    assert set(wire.decode_meters(bodies[wire.Multipart.METER_CONFIG])) == wanted
    assert wire.decode_aggregate(bodies[wire.Multipart.AGGREGATE]).flows == 5
    assert next(wire.decode_ports(bodies[wire.Multipart.PORT_DESC])).name == unique_bridge
    assert wire.decode_table_stats(bodies[wire.Multipart.TABLE])[0].flows == 5
    assert next(wire.decode_features(m).dpid for m in asked if m[1] == Kind.FEATURES_REPLY)


def test_twenty_thousand_flows_commit_atomically(channel, record_property) -> None:
    """Two bundles of the size that one change-set may have."""
    plain = [
        Flow(FlowKey(10, 100, match_of([exact(f.REG[0], n), exact(f.ETH_TYPE, 0x800)])), FlowBody(_acts(n), n))
        for n in range(20_000)
    ]
    gc.collect()
    started = time.perf_counter()
    for half, bundle_id in ((plain[:10_000], 1), (plain[10_000:], 2)):
        assert channel.commit([(Command.ADD, flow) for flow in half], bundle_id) == []
    committed = time.perf_counter()
    parts = channel.parts()
    dumped = time.perf_counter()
    held = {entry.flow.key: entry.flow.body for entry in wire.decode_dump(parts)}
    decoded = time.perf_counter()
    assert held == dict(plain)
    figures = {"commit_s": committed - started, "dump_s": dumped - committed, "decode_s": decoded - dumped}
    for name, value in figures.items():
        record_property(name, round(value, 3))
    print(figures)
    assert figures["commit_s"] < 5


def _acts(number: int) -> tuple[Load, Resubmit] | tuple[Conjunction, ...]:
    if number % 2:
        return (Conjunction(number, 1, 2), Conjunction(number + 1, 2, 3))
    return (Load(Slice(f.REG[3], 0, 32), number), Resubmit(11))

"""The interpreter against single flows whose effect Open vSwitch documents: each line of its model, on its own."""

from ipaddress import ip_address

import pytest

from intent.compiler import fields as f
from intent.compiler.fields import REG, Slice
from intent.compiler.flow import (
    CONTROLLER,
    IN_PORT,
    Conjunction,
    Ct,
    FlowBody,
    FlowKey,
    Goto,
    Load,
    Meter,
    Move,
    Output,
    OutputReg,
    exact,
    match_of,
)
from intent.compiler.interpreter import Conntrack, Interpreter, frame_state
from topology.packet import ETH_ARP, ETH_IPV4, ETH_IPV6, ICMP, ICMPV6, TCP, Frame

CLIENT, SERVER = ip_address("10.0.0.1"), ip_address("10.0.0.2")
MACS = {"eth_src": "02:00:00:00:00:01", "eth_dst": "02:00:00:00:00:02"}
SYN = Frame(1, 3, **MACS, eth_type=ETH_IPV4, src=CLIENT, dst=SERVER, protocol=TCP, sport=4000, dport=80)
BACK = Frame(1, 4, **MACS, eth_type=ETH_IPV4, src=SERVER, dst=CLIENT, protocol=TCP, sport=80, dport=4000)
A, B = Slice(REG[0], 0, 16), Slice(REG[0], 16, 16)
OUT = (Output(9),)


def flow(table, priority, terms, *actions):
    return FlowKey(table, priority, match_of(terms)), FlowBody(actions, 0)


def send(*flows, frame=SYN, conntrack=None, quoted=None):
    return Interpreter(dict(flows)).run(frame, Conntrack() if conntrack is None else conntrack, quoted)


def ports(*flows, **more):
    return send(*flows, **more).ports


def test_the_highest_priority_decides_and_no_flow_is_a_drop():
    assert ports(flow(0, 1, [], *OUT), flow(0, 2, [exact(f.IN_PORT, 3)], Output(8))) == [8]
    assert ports(flow(0, 1, [], *OUT), flow(0, 2, [exact(f.IN_PORT, 5)], Output(8))) == [9]
    assert ports(flow(0, 1, [exact(f.IN_PORT, 5)], *OUT)) == []
    assert ports(flow(0, 1, [], Goto(1))) == []


def test_a_packet_goes_back_only_by_the_port_that_means_so():
    assert ports(flow(0, 1, [], Output(3))) == []
    assert ports(flow(0, 1, [], Output(IN_PORT))) == [IN_PORT]
    assert ports(flow(0, 1, [], Load(A, 3), OutputReg(A))) == []
    shown = send(flow(0, 1, [], Output(CONTROLLER, 64)))
    assert (shown.ports, shown.to_controller) == ([], True)


def test_a_meter_lets_pass_and_parts_of_a_register_keep_apart():
    moved = (Load(A, 5), Load(B, 7), Move(B, A), OutputReg(A))
    assert ports(flow(0, 1, [], Meter(1), *moved)) == [7]


CLAUSES = (
    flow(0, 5, [exact(f.IP_PROTO, TCP)], Conjunction(1, 1, 2)),
    flow(0, 5, [exact(f.TCP_DST, 80)], Conjunction(1, 2, 2)),
)
DECISION = flow(0, 5, [exact(f.CONJ_ID, 1)], Output(7))
OTHER_DECISION = flow(0, 5, [exact(f.CONJ_ID, 2)], Output(6))
BELOW = flow(0, 1, [], *OUT)


def test_a_conjunction_decides_when_all_its_clauses_hold():
    assert ports(*CLAUSES, OTHER_DECISION, DECISION, BELOW) == [7]
    assert ports(CLAUSES[0], DECISION, BELOW) == [9]


def test_one_without_its_decision_hides_what_is_below():
    assert ports(*CLAUSES, BELOW) == []
    assert ports(*CLAUSES, OTHER_DECISION, BELOW) == []


def test_a_plain_flow_beside_a_conjunction_wins():
    plain = flow(0, 5, [exact(f.IN_PORT, 3)], Output(2))
    assert ports(*CLAUSES, DECISION, plain) == [2]


TRACK = flow(0, 1, [], Ct(zone=4, table=1))
COMMIT = flow(1, 1, [exact(f.IN_PORT, 3)], Ct(zone=4, commit=True, exec=(Load(Slice(f.CT_LABEL, 0, 32), 77),)))
REPLY = flow(1, 2, [exact(f.CT_STATE, f.CS_EST | f.CS_RPL | f.CS_TRK), exact(f.CT_LABEL, 77)], *OUT)


def test_a_commit_is_remembered_with_its_label_and_shows_in_the_reply():
    conntrack = Conntrack()
    committed = send(TRACK, COMMIT, REPLY, conntrack=conntrack)
    assert committed.committed is not None
    assert ports(TRACK, COMMIT, REPLY, frame=BACK, conntrack=conntrack) == [9]
    error = Frame(1, 4, **MACS, eth_type=ETH_IPV4, src=SERVER, dst=CLIENT, protocol=ICMP, icmp_type=3, icmp_code=1)
    related = flow(1, 3, [exact(f.CT_STATE, f.CS_REL | f.CS_TRK)], Output(5))
    assert ports(TRACK, related, frame=error, conntrack=conntrack, quoted=committed.committed) == [5]
    assert ports(TRACK, related, frame=error, conntrack=Conntrack(), quoted=committed.committed) == []


def test_a_zone_may_come_from_a_register():
    conntrack = Conntrack()
    send(TRACK, COMMIT, conntrack=conntrack)
    other = flow(0, 1, [], Load(A, 4), Ct(zone=A, table=1))
    assert ports(other, REPLY, frame=BACK, conntrack=conntrack) == [9]
    foreign = flow(0, 1, [], Load(A, 5), Ct(zone=A, table=1))
    assert ports(foreign, REPLY, frame=BACK, conntrack=conntrack) == []


def test_what_opens_nothing_is_not_committed():
    conntrack = Conntrack()
    answer = Frame(1, 3, **MACS, eth_type=ETH_IPV4, src=CLIENT, dst=SERVER, protocol=ICMP, icmp_type=0, icmp_code=0)
    assert send(TRACK, COMMIT, frame=answer, conntrack=conntrack).committed is None
    assert send(flow(0, 1, [], Ct(zone=4, commit=True)), conntrack=conntrack).committed is None, "never tracked"
    arp = Frame(1, 3, **MACS, eth_type=ETH_ARP)
    assert send(TRACK, COMMIT, frame=arp, conntrack=conntrack).committed is None
    assert not conntrack.entries


V6 = {"eth_type": ETH_IPV6, "src": ip_address("fd00::1"), "dst": ip_address("fd00::2"), "protocol": ICMPV6}
TARGET = ip_address("fd00::2")


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (Frame(1, 3, **MACS, eth_type=0x88CC), {f.ETH_TYPE: 0x88CC}),
        (Frame(1, 3, **MACS, eth_type=ETH_IPV4, vlan=5), {f.VLAN_VID: 0x1005}),
        (Frame(1, 3, **MACS, eth_type=ETH_IPV4, src=CLIENT), {f.IPV4_SRC: None}),
        (
            Frame(1, 3, **MACS, eth_type=ETH_IPV4, src=CLIENT, dst=SERVER, protocol=47),
            {f.IP_PROTO: 47, f.TCP_DST: None, f.ICMPV4_TYPE: None},
        ),
        (
            Frame(1, 3, **MACS, eth_type=ETH_IPV4, src=CLIENT, dst=SERVER, protocol=ICMPV6, icmp_type=1),
            {f.ICMPV6_TYPE: None, f.ICMPV4_TYPE: None},
        ),
        (Frame(1, 3, **MACS, **V6, icmp_type=128, icmp_code=0), {f.ICMPV6_TYPE: 128, f.ND_TARGET: None}),
        (
            Frame(1, 3, **MACS, **V6, icmp_type=135, icmp_code=0, nd_target=TARGET, nd_sll="02:00:00:00:00:01"),
            {f.ND_TARGET: int(TARGET), f.ND_SLL: 0x020000000001},
        ),
        (
            Frame(1, 3, **MACS, **V6, icmp_type=136, icmp_code=0, nd_target=TARGET),
            {f.ND_TARGET: int(TARGET), f.ND_SLL: None},
        ),
        (Frame(1, 3, **MACS, **V6, icmp_type=135, icmp_code=1, nd_target=TARGET), {f.ND_TARGET: None}),
    ],
    ids=["lldp", "vlan", "half ip", "gre", "icmp of the other version", "echo", "ns", "na", "ns with a code"],
)
def test_a_frame_has_the_fields_that_its_headers_have(frame, expected):
    state = frame_state(frame)
    assert {field: state.get(field) for field in expected} == expected

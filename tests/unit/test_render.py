"""Flows as ovs-ofctl text: how it looks, and what does not read."""

from __future__ import annotations

import time

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
    match_of,
)
from intent.compiler.render import flow_text, parse_flow
from topology.packet import ETH_ARP, ETH_IPV4, ETH_IPV6


def _text(terms: list[Term], actions: tuple[object, ...] = (), **body: int) -> str:
    return flow_text(
        Flow(FlowKey(3, 100, match_of(terms)), FlowBody(actions, body.get("cookie", 0xAB), body.get("hard", 0)))
    )


V4, V6, ARP = (exact(f.ETH_TYPE, number) for number in (ETH_IPV4, ETH_IPV6, ETH_ARP))

MATCHES = {
    "": [],
    "tcp": [V4, exact(f.IP_PROTO, 6)],
    "sctp6": [V6, exact(f.IP_PROTO, 132)],
    "ip,nw_proto=47": [V4, exact(f.IP_PROTO, 47)],
    "eth_type=0x88cc": [exact(f.ETH_TYPE, 0x88CC)],
    "in_port=5,reg0=0x10/0xf0": [exact(f.IN_PORT, 5), Term(f.REG[0], 0x10, 0xF0)],
    "ct_state=-inv+trk,ip": [V4, Term(f.CT_STATE, 0x20, 0x30)],
    "tcp,nw_src=10.0.0.0/8,nw_dst=0.0.0.1/0.0.0.255": [
        V4, exact(f.IP_PROTO, 6), Term(f.IPV4_SRC, 10 << 24, 0xFF << 24), Term(f.IPV4_DST, 1, 255),
    ],
    "ipv6,ipv6_src=fd00::/16": [V6, Term(f.IPV6_SRC, 0xFD << 120, 0xFFFF << 112)],
    "tcp,tcp_dst=0x1f90/0xfff0": [V4, exact(f.IP_PROTO, 6), Term(f.TCP_DST, 8080 & 0xFFF0, 0xFFF0)],
    "tcp,tcp_flags=+syn-ack": [V4, exact(f.IP_PROTO, 6), Term(f.TCP_FLAGS, 2, 0x12)],
    "ip,nw_frag=later": [V4, exact(f.IP_FRAG, 3)],
    "ip,nw_frag=not_later": [V4, Term(f.IP_FRAG, 0, 2)],
    "eth_dst=01:00:00:00:00:00/01:00:00:00:00:00": [Term(f.ETH_DST, 1 << 40, 1 << 40)],
    "arp,arp_op=1,arp_spa=10.0.0.1": [ARP, exact(f.ARP_OP, 1), exact(f.ARP_SPA, 0x0A000001)],
    "vlan_vid=0x1000/0x1000": [Term(f.VLAN_VID, 0x1000, 0x1000)],
    "conj_id=7": [exact(f.CONJ_ID, 7)],
}  # fmt: skip


@pytest.mark.parametrize("words", MATCHES)
def test_a_match_as_people_read_it(words) -> None:
    text = _text(MATCHES[words])
    assert sorted(text.removesuffix(" actions=drop").split(",")) == sorted(
        ["cookie=0xab", "table=3", "priority=100", *filter(None, words.split(","))]
    )
    assert parse_flow(text).key.match == match_of(MATCHES[words])


ACTIONS = {
    "drop": (),
    "set_field:0x5->reg0": (Load(Slice(f.REG[0], 0, 32), 5),),
    "set_field:10.0.0.1->nw_src": (Load(Slice(f.IPV4_SRC, 0, 32), 0x0A000001),),
    "load:0x1->NXM_NX_REG0[3]": (Load(Slice(f.REG[0], 3, 1), 1),),
    "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]": (Move(Slice(f.ETH_SRC, 0, 48), Slice(f.ETH_DST, 0, 48)),),
    "move:NXM_OF_IN_PORT[]->NXM_NX_REG1[0..15]": (Move(Slice(f.IN_PORT, 0, 16), Slice(f.REG[1], 0, 16)),),
    "meter:3,resubmit(,9),goto_table:10": (Meter(3), Resubmit(9), Goto(10)),
    "in_port": (Output(IN_PORT),),
    "output:7": (Output(7),),
    "dec_ttl,output:7": (DecTtl(), Output(7)),
    "set_queue:5,output:7": (SetQueue(5), Output(7)),
    "controller(max_len=128)": (Output(CONTROLLER, 128),),
    "output:NXM_NX_REG5[0..15]": (OutputReg(Slice(f.REG[5], 0, 16)),),
    "ct(table=5,zone=NXM_NX_REG2[0..15])": (Ct(Slice(f.REG[2], 0, 16), table=5),),
    "ct(commit,force,zone=7,exec(move:NXM_NX_REG8[]->NXM_NX_CT_LABEL[0..31],set_field:0x1->ct_mark))": (
        Ct(7, True, True, exec=(
            Move(Slice(f.REG[8], 0, 32), Slice(f.CT_LABEL, 0, 32)), Load(Slice(f.CT_MARK, 0, 32), 1),
        )),
    ),
    "conjunction(7,1/3),conjunction(8,2/2)": (Conjunction(7, 1, 3), Conjunction(8, 2, 2)),
}  # fmt: skip


@pytest.mark.parametrize("text", ACTIONS)
def test_actions_as_ovs_ofctl_writes_them(text) -> None:
    whole = _text([], ACTIONS[text], hard=60)
    assert whole == f"cookie=0xab,table=3,priority=100,hard_timeout=60 actions={text}"
    assert parse_flow(whole).body.actions == ACTIONS[text]


def test_tables_by_name() -> None:
    flow = Flow(FlowKey(3, 1, ()), FlowBody((Resubmit(4), Goto(5)), 0))
    text = flow_text(flow, {3: "guard", 5: "deliver"})
    assert text == "cookie=0x0,table=guard,priority=1 actions=resubmit(,4),goto_table:deliver"


def test_what_is_left_out_is_zero() -> None:
    assert parse_flow("actions=drop") == Flow(FlowKey(0, 0, ()), FlowBody((), 0, 0))


@pytest.mark.parametrize(
    "text",
    [
        "table=1",
        "table=x actions=drop",
        "bogus=1 actions=drop",
        "tcp=1 actions=drop",
        "ip,ip actions=drop",
        "reg0=0x1ffffffff actions=drop",
        "reg0=2/1 actions=drop",
        "nw_src=10.0.0.256 actions=drop",
        "nw_src=10.0.0.0/33 actions=drop",
        "ipv6_src=::g actions=drop",
        "eth_src=1:2:3:4:5:6 actions=drop",
        "tcp_flags=+syn! actions=drop",
        "ip,nw_src=10.0.0.0/1.2.3 actions=drop",
        "in_port=5) actions=drop",
        "ct_state=+bogus actions=drop",
        "ct_state=+trk! actions=drop",
        "nw_frag=sometimes actions=drop",
        "actions=",
        "actions=fly",
        "actions=output:",
        "actions=load:16->NXM_NX_REG0[0..3]",
        "actions=load:1->NXM_NX_REG0[0..32]",
        "actions=load:1->NXM_NX_REG0[5..3]",
        "actions=load:1->NXM_NX_BOGUS[]",
        "actions=set_field:1->bogus",
        "actions=set_field:0x1ffffffff->reg0",
        "actions=set_field:reg0",
        "actions=ct(zone=1",
        "actions=ct(nat(src=10.0.0.1-10.0.0.9))",
        "actions=ct(commit,exec(output:1))",
        "actions=conjunction(1,1)",
        "actions=resubmit(1,2)",
        "actions=output:1,,drop",
    ],
)
def test_what_flow_text_never_writes_is_refused(text) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_flow(text)


def test_text_cannot_make_reading_slow() -> None:
    started = time.process_time()
    for text in ("actions=" + "(" * 50_000, "actions=" + "ct(" * 20_000 + ")" * 20_000, "actions=" + "()," * 20_000):
        with pytest.raises(ValueError, match=r"."):
            parse_flow(text)
    assert time.process_time() - started < 1

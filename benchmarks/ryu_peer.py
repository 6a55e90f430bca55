"""The peer `plain Ryu message objects`: what an application on Ryu writes, sent as one atomic bundle.

What is timed: an `OFPMatch`, an `OFPFlowMod` and an `OFPBundleAddMsg` a flow, their serialization, the
way to the commit reply. The action objects are made before, which is in Ryu's favour.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from benchmarks.openflow import BUNDLE, COMMITTED, OPENED, Channel
from intent.compiler.flow import Flow
from ryu_apps import wire
from ryu_apps.eventlet_hook import quiet
from ryu_apps.wire import Command, Kind

quiet()

from ryu.ofproto import ofproto_parser, ofproto_v1_4  # noqa: E402 - after the warnings of its imports are quiet
from ryu.ofproto import ofproto_v1_4_parser as parser  # noqa: E402 - likewise


class _Datapath:
    """As much of a switch as message objects ask for."""

    ofproto = ofproto_v1_4
    ofproto_parser = parser


class RyuPeer:
    """The flows of a program as an application on Ryu would hold them: field names, values and actions."""

    def __init__(self, flows: Sequence[Flow]) -> None:
        self._datapath = _Datapath()
        self._plain = [self._parse(flow) for flow in flows]

    def _parse(self, flow: Flow) -> tuple[list[tuple[str, Any]], dict[str, Any], list[Any]]:
        data = wire.encode_flow_mod(flow, Command.ADD, 1)
        head = ofproto_parser.header(data)
        message = parser.OFPFlowMod.parser(self._datapath, *head, data)
        terms = list(message.match.items())
        fields = {"table_id": flow.key.table, "priority": flow.key.priority, "cookie": flow.body.cookie}
        return terms, fields, message.instructions

    def install(self, channel: Channel) -> float:
        """Install the flows in one bundle; return the seconds to the commit reply."""
        begin = time.perf_counter()
        self._send(channel, self._control(ofproto_v1_4.OFPBCT_OPEN_REQUEST), OPENED)
        for xid, (terms, fields, instructions) in enumerate(self._plain, 10):
            match = parser.OFPMatch(_ordered_fields=terms)
            inner = parser.OFPFlowMod(self._datapath, match=match, instructions=instructions, **fields)
            inner.set_xid(xid)
            self._send(channel, parser.OFPBundleAddMsg(self._datapath, BUNDLE, _FLAGS, inner, []), xid)
        self._send(channel, self._control(ofproto_v1_4.OFPBCT_COMMIT_REQUEST), COMMITTED)
        channel.expect(Kind.BUNDLE_CONTROL, COMMITTED)
        return time.perf_counter() - begin

    def _control(self, step: int) -> Any:  # noqa: ANN401 - Ryu has no types
        return parser.OFPBundleCtrlMsg(self._datapath, BUNDLE, step, _FLAGS, [])

    @staticmethod
    def _send(channel: Channel, message: Any, xid: int) -> None:  # noqa: ANN401 - likewise
        message.set_xid(xid)
        message.serialize()
        channel.send(bytes(message.buf))


_FLAGS = ofproto_v1_4.OFPBF_ATOMIC | ofproto_v1_4.OFPBF_ORDERED

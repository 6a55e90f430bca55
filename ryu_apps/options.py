"""Keeps a switch knowing our Geneve option while flows speak of it: told before them, forgotten after them."""

from __future__ import annotations

import logging
import time

from intent.compiler.tunnels import OPTION_BYTES, OPTION_CLASS, OPTION_TYPE
from ryu_apps import wire
from ryu_apps.conversation import Conversation
from ryu_apps.session import ANSWER_S, Refusal, Session
from ryu_apps.wire import tlv
from ryu_apps.wire.tlv import OptionCommand, OptionMap

log = logging.getLogger("ringfence.options")

OURS = OptionMap(OPTION_CLASS, OPTION_TYPE, OPTION_BYTES, 0)
"""Kept in `tun_metadata0`."""


def ensure(session: Session, *, wanted: bool) -> None:
    """Let the switch keep our option, and no other; before flows that use it.

    Raises:
        SessionError: the switch refuses, or does not answer.
        WireError: its answer is broken.
    """
    if not wanted or (session.option and not session.option_doubted):
        return
    held = _read(session)
    if held != {OURS}:
        if held:
            log.warning("%016x: %d maps of Geneve options that are not ours are cleared", session.dpid, len(held))
        clear = [(OptionCommand.CLEAR, ())] if held else []
        _change(session, [*clear, (OptionCommand.ADD, (OURS,))])
    session.option, session.option_doubted = True, False


def drop(session: Session, *, wanted: bool) -> None:
    """Let the switch forget our option; after the flows that used it.

    Raises:
        SessionError: the switch refuses, or does not answer.
    """
    if not wanted and session.option:
        _change(session, [(OptionCommand.DELETE, (OURS,))])
        session.option = False


def _read(session: Session) -> frozenset[OptionMap]:
    xid = session.exchange.take_xids()
    with Conversation(session.exchange, xid) as talk:
        talk.say(tlv.options_request(xid))
        answer = talk.next(time.monotonic() + ANSWER_S, "Geneve option table")
    if answer[1] == wire.Kind.ERROR:
        raise Refusal("Geneve option table", answer)
    return tlv.decode_options(answer)


def _change(session: Session, mods: list[tuple[OptionCommand, tuple[OptionMap, ...]]]) -> None:
    first = session.exchange.take_xids(len(mods) + 1)
    messages = [tlv.option_mod(xid, command, maps) for xid, (command, maps) in enumerate(mods, first)]
    with Conversation(session.exchange, first, len(mods) + 1) as talk:
        talk.say(b"".join((*messages, wire.barrier_request(first + len(mods)))))
        answer = talk.next(time.monotonic() + ANSWER_S, "Geneve option")
    if answer[1] == wire.Kind.ERROR:
        session.option_doubted = True
        raise Refusal("Geneve option", answer)

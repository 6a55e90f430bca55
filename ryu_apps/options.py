"""Keeps a switch knowing our Geneve option while flows speak of it: told before them, forgotten after them."""

from __future__ import annotations

import logging

from intent.compiler.tunnels import OPTION_BYTES, OPTION_CLASS, OPTION_TYPE
from ryu_apps.session import Refusal, Session
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
    return tlv.decode_options(session.ask(tlv.options_request, "Geneve option table"))


def _change(session: Session, mods: list[tuple[OptionCommand, tuple[OptionMap, ...]]]) -> None:
    try:
        session.change(tlv.option_mod, mods, "Geneve option", "Geneve option")
    except Refusal:
        session.option_doubted = True
        raise

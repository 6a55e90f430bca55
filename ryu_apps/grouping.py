"""The groups of a switch: ensured before the flows that use them, removed after. They choose ways, never verdicts."""

from __future__ import annotations

from collections.abc import Mapping

from intent.compiler.fabric import GroupSpec
from ryu_apps import wire
from ryu_apps.conversation import Conversation
from ryu_apps.session import Refusal, Session, bodies
from ryu_apps.wire.groups import (
    GroupCommand,
    decode_group_descs,
    encode_buckets,
    group_desc_request,
    group_mod,
)

MAX_GROUPS = 1 << 16
"""Of one switch; more are not looked at."""


class Groups:
    """What one connected switch holds, as it confirmed. For the thread of its connection."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._held: dict[int, tuple[bool, bytes] | None] = {}
        self._in_doubt = True

    def doubt(self) -> None:
        """Ask again before the next change."""
        self._in_doubt = True

    def ensure(self, wanted: Mapping[int, GroupSpec]) -> None:
        """Make the groups that are missing or not as they should be; before flows that use them.

        Raises:
            SessionError: the switch refuses, or does not answer.
        """
        if not wanted and not self._held:
            return
        if self._in_doubt:
            self._held = self._read()
            self._in_doubt = False
        content = {number: (spec.spread, encode_buckets(spec)) for number, spec in wanted.items()}
        differing = [number for number in content if self._held.get(number) != content[number]]
        # A group that another one uses must be there first: those that spread use none.
        differing.sort(key=lambda number: not wanted[number].spread)
        self._change([(self._command(number), number, wanted[number]) for number in differing])
        self._held.update({number: content[number] for number in differing})

    def _command(self, number: int) -> GroupCommand:
        return GroupCommand.MODIFY if number in self._held else GroupCommand.ADD

    def drop(self, wanted: Mapping[int, GroupSpec]) -> None:
        """Remove every other group; after the flows that used them."""
        extra = [number for number in self._held if number not in wanted]
        extra.sort(key=lambda number: (self._held[number] or (False, b""))[0])  # users before what they use
        self._change([(GroupCommand.DELETE, number, None) for number in extra])
        for number in extra:
            del self._held[number]

    def _read(self) -> dict[int, tuple[bool, bytes] | None]:
        xid = self._session.exchange.take_xids()
        held: dict[int, tuple[bool, bytes] | None] = {}
        with Conversation(self._session.exchange, xid) as talk:
            talk.say(group_desc_request(xid))
            for body in bodies(talk, wire.Multipart.GROUP_DESC, "groups"):
                held.update(decode_group_descs(body))
                if len(held) > MAX_GROUPS:
                    break
        return held

    def _change(self, mods: list[tuple[GroupCommand, int, GroupSpec | None]]) -> None:
        try:
            self._session.change(group_mod, mods, "group", "groups")
        except Refusal:
            self._in_doubt = True
            raise

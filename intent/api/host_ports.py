"""What the API needs to manage hosts, as a protocol: who they are, and what is set up on each over OVSDB."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol

from intent.api.plug_refused import PlugRefused


@dataclasses.dataclass(frozen=True, slots=True)
class HostStatus:
    """One managed host."""

    name: str
    """Its OVSDB target, or the name under which it dialled in."""
    dials_in: bool
    connected: bool
    ovs_version: str
    """Empty while it is not known."""
    bridge: str
    """Its integration bridge; empty while there is none of ours."""
    problem: str
    """Why that bridge is not as it must be; empty if it is."""


@dataclasses.dataclass(frozen=True, slots=True)
class HostChange:
    """One thing that is changed in a host's database, in words and in parts."""

    action: str
    """`create`, `set`, `add`, `remove` or `delete`."""
    table: str
    row: str
    column: str
    before: str
    after: str
    text: str


class HostPort(Protocol):
    """The hosts, and what can be set up on their integration bridges."""

    def hosts(self) -> Sequence[HostStatus]:
        """Return the hosts, as last heard."""

    def forget(self, host: str) -> None:
        """Forget a host that dialled in and is away, for good. Raises PlugRefused."""

    def ensure(
        self, host: str, kind: str, name: str, fields: Mapping[str, object], *, dry_run: bool
    ) -> Sequence[HostChange]:
        """Make a setting so; return what was changed, or would be. Raises PlugRefused."""

    def remove(self, host: str, kind: str, name: str, *, dry_run: bool) -> Sequence[HostChange]:
        """Take a setting away if it is there; return what was changed, or would be. Raises PlugRefused."""


class NoHosts:
    """For a server without hosts: refuses."""

    def hosts(self) -> Sequence[HostStatus]:
        """Return none."""
        return ()

    def forget(self, host: str) -> None:
        """Refuse."""
        self.ensure(host, "", "", {}, dry_run=True)

    def ensure(
        self, host: str, kind: str, name: str, fields: Mapping[str, object], *, dry_run: bool
    ) -> Sequence[HostChange]:
        """Refuse."""
        del kind, name, fields, dry_run
        raise PlugRefused(f"host {host[:80]!r}: this server manages none", "ask the controller", passing=False)

    def remove(self, host: str, kind: str, name: str, *, dry_run: bool) -> Sequence[HostChange]:
        """Refuse."""
        return self.ensure(host, kind, name, {}, dry_run=dry_run)

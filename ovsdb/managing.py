"""How a host is managed: its managers (`ovs-vsctl set-manager`) and its TLS files (`ovs-vsctl set-ssl`)."""

from __future__ import annotations

import dataclasses
import re

from ovsdb.columns import Columns
from ovsdb.errors import EnsureError
from ovsdb.scene import Held, Query, Scene
from ovsdb.session import Operation
from ovsdb.settle import Place
from ovsdb.wish import MAX_TARGET, in_range, ours

MAX_PATH = 1024
_TARGET = re.compile(
    r"(?:tcp|ssl):(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9][A-Za-z0-9.-]{0,252})(?::\d{1,5})?"
    r"|(?:ptcp|pssl):\d{1,5}(?::(?:\[[0-9A-Fa-f:.]{2,45}\]|[0-9.]{7,15}))?"
)


@dataclasses.dataclass(frozen=True, slots=True)
class ManagerWish:
    """One manager that a host dials (`ssl:…`, `tcp:…`) or listens for (`pssl:…`, `ptcp:…`). Others are left alone."""

    owner: str
    target: str
    inactivity_probe_ms: int | None = 5000
    max_backoff_ms: int | None = 1000

    def check(self) -> None:
        """Refuse what cannot be."""
        if len(self.target) > MAX_TARGET or not _TARGET.fullmatch(self.target):
            raise EnsureError(
                f"manager {self.target[:80]!r}: write tcp:HOST:PORT, ssl:HOST:PORT, ptcp:PORT:IP or pssl:PORT:IP"
            )
        in_range("inactivity_probe_ms", self.inactivity_probe_ms, 0, 1 << 30)
        in_range("max_backoff_ms", self.max_backoff_ms, 1000, 1 << 30)

    def queries(self) -> list[Query]:
        """Return the manager of this target."""
        return [("Manager", [["target", "==", self.target]])]

    def plan(self, scene: Scene) -> list[Operation]:
        """Return what makes it so."""
        wanted: Columns = {
            "target": self.target,
            "inactivity_probe": self.inactivity_probe_ms,
            "max_backoff": self.max_backoff_ms,
        }
        return self._place(scene).ensure(scene.named("Manager", self.target), wanted)

    def removal(self, scene: Scene) -> list[Operation]:
        """Return what takes it away."""
        return self._place(scene).remove(scene.named("Manager", self.target))

    def _place(self, scene: Scene) -> Place:
        return Place("Manager", scene.top(), "manager_options", self.owner)


@dataclasses.dataclass(frozen=True, slots=True)
class SslWish:
    """The PEM files that a host's daemons use: paths on that host. Keys are never sent."""

    owner: str
    key: str = ""
    cert: str = ""
    ca: str = ""
    bootstrap_ca: bool = False
    """Take the authority from the first peer, once. Whoever answers first is then believed."""

    def check(self) -> None:
        """Refuse what cannot be."""
        for what, path in (("key", self.key), ("cert", self.cert), ("ca", self.ca)):
            if not path.startswith("/") or not path.isprintable() or len(path) > MAX_PATH:
                raise EnsureError(f"ssl {what} {path[:80]!r} is no absolute path of at most {MAX_PATH} characters")

    def queries(self) -> list[Query]:
        """Return our row, if there is one."""
        return [ours("SSL", self.owner)]

    def plan(self, scene: Scene) -> list[Operation]:
        """Return what makes it so."""
        wanted: Columns = {
            "private_key": self.key,
            "certificate": self.cert,
            "ca_cert": self.ca,
            "bootstrap_ca_cert": self.bootstrap_ca,
        }
        place, child = self._place(scene)
        return place.ensure(child, wanted)

    def removal(self, scene: Scene) -> list[Operation]:
        """Return what takes it away."""
        place, child = self._place(scene)
        return place.remove(child)

    def _place(self, scene: Scene) -> tuple[Place, Held | None]:
        top = scene.top()
        return Place("SSL", top, "ssl", self.owner), scene.get(top.columns["ssl"])

"""Every change of a flow on a bridge, by whoever makes it (OpenFlow flow monitor)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mininet_scenarios.janitor import Janitor
    from mininet_scenarios.private_ovs import PrivateOvs

START_S = 60.0


class Watch:
    """Watches from its making on: the switch has answered by then that it tells of every change."""

    def __init__(self, janitor: Janitor, ovs: PrivateOvs, bridge: str) -> None:
        self._path = janitor.directory() / "watch"
        command = ["ovs-ofctl", "-O", "OpenFlow13", "monitor", bridge, "watch:!initial"]
        with self._path.open("wb") as output:
            self._process = janitor.start(command, where=ovs.where, output=output)
        give_up_at = time.monotonic() + START_S
        while "_FLOW_MONITOR reply" not in self.said():
            assert self._process.poll() is None, self.said()
            assert time.monotonic() < give_up_at, self.said()
            time.sleep(0.01)

    def said(self) -> str:
        return self._path.read_text()

    def changes(self) -> int:
        """Return how many changes of flows there were."""
        assert self._process.poll() is None, "the flow monitor lost its switch"
        return self.said().count("event=")

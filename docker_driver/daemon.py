"""The driver, put together and run until a signal ends it."""

from __future__ import annotations

import logging
import signal
import threading
import time
from typing import TYPE_CHECKING

from docker_driver import firewall, hostlink
from docker_driver.calls import table
from docker_driver.controller import Controller
from docker_driver.engine import Engine
from docker_driver.errors import Unreachable
from docker_driver.ipam import Ipam
from docker_driver.leases import WAIT_S, Leases
from docker_driver.network import Driver
from docker_driver.orphans import LOOK_S, Orphans
from docker_driver.outside import Gate
from docker_driver.plugger import Plugger
from docker_driver.publishing import HostPorts
from docker_driver.server import PluginServer
from docker_driver.state import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from docker_driver.config import Config

log = logging.getLogger("ringfence.docker")

FIRST_PAUSE_S, LAST_PAUSE_S = 0.1, 2.0
"""Between two attempts to follow the Engine's events."""
END_S = 3.0


class Daemon:
    """Everything that runs."""

    def __init__(self, config: Config) -> None:
        """Open the state and listen.

        Raises:
            StateError: the state cannot be used.
            OSError: the socket cannot be made.
        """
        self._stopped = threading.Event()
        self._state = State(config.state_dir)
        self._engine = Engine(config.engine, config.socket.stem)
        controller, other = (
            Controller(config.server, config.token_file, config.ca_file, config.host) for _ in range(2)
        )
        self._plugger = Plugger(self._state, self._engine, controller, config.labels.rules)
        self._gate = Gate(self._state, other, config.outside)
        self._plugger.named = self._gate.wake
        ipam = Ipam(self._state, config.pools, config.rest_s, elsewhere=hostlink.routed)
        refuse = config.controller_down == "refuse"
        third = Controller(config.server, config.token_file, config.ca_file, config.host, WAIT_S)
        ipam.lessor = self._leases = Leases(self._state, third, refuse=refuse)
        self._shut = firewall.missing() if config.outside.enabled else "outside.enabled is false"
        if self._shut:
            log.error("networks have no way out and no published ports: %s", self._shut)
        driver = Driver(self._state, self._wake, controller.why_not if refuse else str, self._shut, HostPorts())
        self._orphans = Orphans(self._state, self._engine, driver, ipam)
        self._server = PluginServer(config.socket, table(driver, ipam))
        log.info("driver %s on %s, state in %s", config.socket.stem, config.socket, config.state_dir)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT. What is plugged in stays so."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopped.set())
        parts: dict[str, Callable[[], None]] = {
            "server": self._server.serve_forever,
            "plugger": self._plugger.run,
            "leases": self._leases.run,
            "events": self._follow,
            "orphans": self._collect,
        }
        if not self._shut:
            parts["outside"] = self._gate.run
        threads = [threading.Thread(target=part, name=name, daemon=True) for name, part in parts.items()]
        for thread in threads:
            thread.start()
        self._stopped.wait()
        log.info("stopping; running containers keep their ports")
        self._server.close()
        self._plugger.stop()
        self._gate.stop()
        self._leases.stop()
        self._engine.cut()
        for thread in threads:
            thread.join(END_S)
        self._state.close()

    def _wake(self) -> None:
        self._plugger.wake()
        self._gate.wake()

    def _follow(self) -> None:
        """Wake the plugger at each event; after a gap it looks at everything."""
        pause_s = FIRST_PAUSE_S
        while not self._stopped.is_set():
            try:
                for _ in self._engine.events():
                    pause_s = FIRST_PAUSE_S
                    self._plugger.wake()
            except Unreachable as error:
                log.debug("%s", error)
            self._stopped.wait(pause_s)
            pause_s = min(2 * pause_s, LAST_PAUSE_S)

    def _collect(self) -> None:
        """Collect orphans, at first as soon as the Engine answers."""
        look_at = 0.0
        while not self._stopped.wait(max(FIRST_PAUSE_S, look_at - time.monotonic())):
            try:
                self._orphans.look()
                look_at = time.monotonic() + LOOK_S
            except Unreachable as error:
                log.debug("%s", error)
                look_at = time.monotonic() + LAST_PAUSE_S
            except Exception:
                log.exception("collecting failed by a fault of ours: report it with these lines")
                look_at = time.monotonic() + LOOK_S

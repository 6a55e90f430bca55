"""The real controller as a separate process: configuration, start, stop, crash, token."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from mininet_scenarios import shell
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.rest import Rest, RestError

PROJECT = Path(__file__).parent.parent
START_TIMEOUT_S = 90.0
"""A machine that is busy with other things may take its time; two seconds are usual."""
STOP_TIMEOUT_S = 60.0


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """Where the controller listens and what it manages."""

    ovsdb_target: str
    bridge: str = "br-ring"
    openflow_port: int = 6653
    rest_port: int = 8181
    log_level: str = "info"
    more: Mapping[str, Mapping[str, object]] = dataclasses.field(default_factory=dict)
    """Sections, or keys of them, that are added or replaced."""

    def document(self, state_dir: Path) -> dict[str, object]:
        """Return the configuration file's content."""
        document: dict[str, object] = {
            "openflow": {"host": "127.0.0.1", "port": self.openflow_port},
            "rest": {"host": "127.0.0.1", "port": self.rest_port},
            "ovsdb": {"targets": [self.ovsdb_target]},
            "bridge": {"name": self.bridge, "datapath_type": "netdev"},
            "state_dir": str(state_dir),
            "log_level": self.log_level,
        }
        for section, keys in self.more.items():
            before = document.get(section)
            document[section] = {**(before if isinstance(before, dict) else {}), **keys}
        return document


class Controller:
    """One `ringfence run`. Start it with `start`; the janitor ends it at the latest."""

    def __init__(self, janitor: Janitor, settings: Settings, *, netns: str | None = None) -> None:
        self._janitor = janitor
        self._netns = netns
        self.bridge = settings.bridge
        self.directory = janitor.directory()
        self.config = self.directory / "config.yaml"
        self.log = self.directory / "controller.log"
        self.state_dir = self.directory / "state"
        self.config.write_text(yaml.safe_dump(settings.document(self.state_dir), sort_keys=False))
        self.rest = Rest("127.0.0.1", settings.rest_port, self.state_dir / "token")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, without waiting."""
        where = self._janitor.surroundings(self._netns, {"PYTHONPATH": str(PROJECT)})
        argv = [sys.executable, "-m", "cli.main", "run", "--config", str(self.config)]
        with self.log.open("ab") as log:
            self.process = self._janitor.start(argv, where=where, output=log)

    def wait(self) -> None:
        """Return when the REST API answers.

        Raises:
            CommandError: it does not, or the process ended; the message holds the end of its log.
        """
        try:
            self.rest.wait_healthy(START_TIMEOUT_S, is_alive=self._is_alive)
        except RestError as error:
            what = str(error) if self._is_alive() else "it ended by itself"
            raise shell.CommandError(f"the controller does not start: {what}\n{shell.read_tail(self.log)}") from error

    def _is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """Kill the process with SIGKILL, and return when it is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ask the process to end; return its exit code (negative: the signal that ended it)."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(number)
        try:
            return self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self.process = None

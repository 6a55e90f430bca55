"""A real controller process beside a private Open vSwitch, for tests; ports and files are its own."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from mininet_scenarios import namespaces
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.namespaces import Nic
from mininet_scenarios.private_ovs import PrivateOvs
from mininet_scenarios.shell import CommandError
from tests.ovs.flow_watch import Watch

BRIDGE = "br-ring"
RUN = (sys.executable, "-m", "ryu_apps.main")
RYU_MANAGER = (str(Path(sys.executable).parent / "ryu-manager"), "ryu_apps.segmentation")
ROOT = Path(__file__).parent.parent.parent

THREE = """
{kind: Network, name: lan, subnets: [10.0.0.0/24]}
---
kind: Policy
name: a-to-b
rules: [{action: allow, from: [{labels: {app: a}}], to: [{labels: {app: b}}], services: [tcp/80]}]
"""


START_S = 60.0
"""A busy machine may take its time to start a controller; no proof is about that."""


def until(done: Callable[[], object], timeout_s: float = 60.0, every_s: float = 0.05) -> bool:
    give_up_at = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(every_s)
    return True


def mac_of(number: int) -> str:
    return f"02:00:00:00:00:{number:02x}"


class ControllerBench:
    """Starts and stops one controller on the switch's namespace. Its log is `log`."""

    def __init__(
        self, janitor: Janitor, ovs: PrivateOvs, *, of_port: int = 6653, rest_port: int = 8181, extra: str = ""
    ) -> None:
        self.janitor, self.ovs, self.rest_port = janitor, ovs, rest_port
        self.directory = janitor.directory()
        self.config = self.directory / "config.yaml"
        self.state = self.directory / "state"
        self.log = self.directory / "log"
        self.config.write_text(
            f"openflow: {{port: {of_port}}}\nrest: {{port: {rest_port}}}\nstate_dir: {self.state}\n"
            f'ovsdb: {{targets: ["{ovs.db_target}"]}}\nbridge: {{datapath_type: netdev}}\n'
            f"reconcile: {{verify_interval_s: 1}}\n{extra}"
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, command: tuple[str, ...] = RUN) -> ControllerBench:
        os.environ["RINGFENCE_CONFIG"] = str(self.config)
        try:
            with self.log.open("ab") as log:
                self.process = self.janitor.start(command, where=self.ovs.where, output=log)
        finally:
            del os.environ["RINGFENCE_CONFIG"]
        assert until(self.is_up, START_S), self.said()
        return self

    def said(self) -> str:
        return self.log.read_text()

    def send(self, number: int) -> None:
        assert self.process
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill the controller if it still runs."""
        if self.process and self.process.poll() is None:
            self.process.kill()

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process
        self.send(number)
        return self.process.wait(START_S)

    def is_up(self) -> bool:
        try:
            return self.ask("GET", "/v1/health")[0] == 200
        except OSError:
            return False

    def connect(self, timeout_s: float = 60) -> http.client.HTTPConnection:
        """Connect to the REST API."""
        connection = http.client.HTTPConnection("127.0.0.1", self.rest_port, timeout=timeout_s)
        with namespaces.entered(self.ovs.netns):
            connection.connect()
        return connection

    def authorization(self) -> dict[str, str]:
        """Return the header with the token, as soon as there is one."""
        token = self.state / "token"
        return {"Authorization": f"Bearer {token.read_text().strip()}"} if token.exists() else {}

    def ask(self, method: str, path: str, body: str = "") -> tuple[int, dict]:
        headers = self.authorization() | {"Content-Type": "application/yaml"}
        connection = self.connect()
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        finally:
            connection.close()

    def apply(self, documents: str, timeout_s: int = 50) -> dict:
        status, answer = self.ask("POST", f"/v1/apply?wait=realized&timeout={timeout_s}", documents)
        assert status in {200, 201, 202}, answer
        return answer

    def switch(self) -> dict:
        return self.ask("GET", "/v1/switches")[1]

    def is_connected(self) -> bool:
        """Whether there is a switch yet and it is connected."""
        return any(switch["connected"] for switch in self.switch()["items"])

    def copy_store(self, other: ControllerBench) -> None:
        """Give another controller a copy of the state, as a backup restored by mistake would."""
        shutil.copytree(self.state, other.state, dirs_exist_ok=True)

    def add_port(self, name: str, number: int, **labels: str) -> None:
        """Plug an internal port in that says who it is."""
        ids = {
            "iface-id": name, "attached-mac": mac_of(number), "ringfence:ip": f"10.0.0.{number}",
            **{f"ringfence:label/{key}": value for key, value in labels.items()},
        }  # fmt: skip
        self._add(name, ids, "type=internal")

    def nic(self, number: int, *addresses: str, netns: str | None = None) -> Nic:
        """Return an interface to plug in, in a namespace of its own unless one is given."""
        return Nic(netns or self.janitor.netns(), self.janitor.fresh("v"), mac_of(number), addresses)

    def plug(self, nic: Nic, ids: Mapping[str, str]) -> None:
        """Make the interface, and plug it in as whom these external_ids say."""
        namespaces.plug([nic], self.ovs.netns)
        self._add(nic.outer, {"attached-mac": nic.mac, **ids})

    def _add(self, port: str, ids: Mapping[str, str], *settings: str) -> None:
        ids = {"ringfence:network": "lan", **ids}
        words = [f'external_ids:"{key}"="{value}"' for key, value in ids.items()]
        self.ovs.vsctl("add-port", BRIDGE, port, "--", "set", "interface", port, *settings, *words)

    def flows(self) -> list[str]:
        """Return what the switch holds, without counters and ages, sorted."""
        return sorted(self.ovs.ofctl("--no-stats", "dump-flows", BRIDGE).splitlines()[1:])

    def has(self, flows: list[str]) -> bool:
        """Whether the switch holds exactly these flows; not while it is starting."""
        try:
            return self.flows() == flows
        except CommandError:
            return False

    def watch(self) -> Watch:
        """Record every change of any flow from now on, by whoever makes it."""
        return Watch(self.janitor, self.ovs, BRIDGE)

"""Ours: the real controller as a process of its own, on a private Open vSwitch, driven by REST over one connection."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.switches import add_ports, peak_mb
from benchmarks.workloads import Document, World, text
from mininet_scenarios import namespaces, shell
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.private_ovs import PrivateOvs

BRIDGE = "br-ring"
ROOT = Path(__file__).parent.parent
START_S, REALIZED_S = 30.0, 120.0
OF_PORT, REST_PORT = 6653, 8181
"""In the switch's own namespace, so they collide with nobody's."""
BODY_LIMIT = 1 << 28


class ProductError(AssertionError):
    """The controller did not do what was asked; the message ends with its log."""


class Product:
    """One controller, its store, and its switch."""

    def __init__(self, janitor: Janitor, ovs: PrivateOvs) -> None:
        self.ovs = ovs
        self.janitor = janitor
        self._directory = janitor.directory()
        self._process: subprocess.Popen[bytes] | None = None
        self._http: http.client.HTTPConnection | None = None

    # -- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the controller, and return when it answers."""
        config = self._directory / "config.yaml"
        config.write_text(
            f"openflow: {{port: {OF_PORT}}}\nrest: {{port: {REST_PORT}, body_limit: {BODY_LIMIT}}}\n"
            f"state_dir: {self.state}\nbridge: {{datapath_type: netdev}}\nreconcile: {{verify_interval_s: 8}}\n"
            f'ovsdb: {{targets: ["{self.ovs.db_target}"]}}\n'
        )
        env = {**self.ovs.env, "RINGFENCE_CONFIG": str(config), "PYTHONPATH": str(ROOT), **self._bytecode()}
        where = self.janitor.surroundings(self.ovs.netns, env)
        with self.log.open("ab") as log:
            self._process = self.janitor.start([sys.executable, "-m", "ryu_apps.main"], where=where, output=log)
        self.until("the controller to answer", self._is_up, START_S)

    def _bytecode(self) -> dict[str, str]:
        """Let a second start find the modules compiled, as it does wherever nobody forbids it."""
        return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(self._directory / "bytecode")}

    @property
    def state(self) -> Path:
        """Directory of the store."""
        return self._directory / "state"

    @property
    def log(self) -> Path:
        """What the controller says."""
        return self._directory / "log"

    @property
    def pid(self) -> int:
        """Process id of the controller."""
        assert self._process
        return self._process.pid

    def kill(self) -> None:
        """Kill the controller with SIGKILL, and return when it is gone."""
        assert self._process
        self._process.kill()
        self._process.wait()
        self._hang_up()

    def _hang_up(self) -> None:
        if self._http:
            self._http.close()
        self._http = None

    def until(self, what: str, done: Callable[[], bool], timeout_s: float = START_S, every_s: float = 0.02) -> None:
        """Wait until something holds.

        Raises:
            ProductError: it does not in time, or the controller ended.
        """
        give_up_at = time.monotonic() + timeout_s
        while not done():
            ended = self._process is not None and self._process.poll() is not None
            if ended or time.monotonic() > give_up_at:
                raise ProductError(f"waited {timeout_s:g} s for {what}: {shell.read_tail(self.log)}")
            time.sleep(every_s)

    def _is_up(self) -> bool:
        try:
            return self.ask("GET", "/v1/health")[0] == http.client.OK
        except OSError:
            self._hang_up()
            return False

    def peak_mb(self) -> float:
        """Return the largest resident memory of the controller."""
        return peak_mb(self.pid)

    # -- REST ----------------------------------------------------------------------------------

    def ask(self, method: str, path: str, body: str = "") -> tuple[int, dict[str, Any]]:
        """Send a request over the connection that stays; return status and answer."""
        token = self.state / "token"
        headers = {"Content-Type": "application/json"}
        if token.exists():
            headers["Authorization"] = f"Bearer {token.read_text().strip()}"
        connection = self._http or self._connect()
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        except http.client.HTTPException as error:
            self._hang_up()
            raise ConnectionError(str(error)) from error

    def _connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", REST_PORT, timeout=REALIZED_S + 10)
        if self.ovs.netns is None:
            connection.connect()
        else:
            with namespaces.entered(self.ovs.netns):
                connection.connect()
        self._http = connection
        return connection

    def change(self, method: str, path: str, body: str = "") -> float:
        """Send a change and wait until every switch confirmed it; return the seconds it took.

        Raises:
            ProductError: it was refused, or not realized.
        """
        begin = time.perf_counter()
        status, answer = self.ask(method, f"{path}?wait=realized&timeout={REALIZED_S:g}", body)
        took = time.perf_counter() - begin
        phase = (answer.get("realized") or {}).get("phase")
        if status >= http.client.BAD_REQUEST or phase != "realized":
            raise ProductError(f"{method} {path}: {status} {str(answer)[:800]}\n{shell.read_tail(self.log, 2000)}")
        return took

    def apply(self, documents: Iterable[Document]) -> float:
        """Put documents, all as one revision; return the seconds until every switch confirmed it."""
        return self.change("POST", "/v1/apply", text(documents))

    def delete(self, kind: str, name: str) -> float:
        """Delete one document; return the seconds until every switch confirmed it."""
        return self.change("DELETE", f"/v1/{kind}/{name}")

    # -- what it holds -------------------------------------------------------------------------

    def plug(self, count: int) -> None:
        """Plug ports, and return when the controller knows of them all."""
        self.until("the bridge", lambda: BRIDGE in self.ovs.vsctl("list-br").split())
        add_ports(self.ovs, BRIDGE, count)
        self.until("every port to be seen", lambda: self.reported() >= count, every_s=0.2)

    def reported(self) -> int:
        """Return how many ports the controller knows that have no identity yet: each is reported."""
        return json.dumps(self.ask("GET", "/v1/live/endpoints")[1].get("reports", [])).count('"interface br-ring/')

    def revision(self) -> int:
        """Return the newest revision."""
        return int(self.ask("GET", "/v1/status")[1]["revision"])

    def realized(self, revision: int) -> bool:
        """Say whether every switch confirmed a revision; asks for little, so that it costs the controller little."""
        try:
            switches = self.ask("GET", "/v1/switches")[1]["items"]
        except OSError:
            return False
        return bool(switches) and all((switch["revision"] or 0) >= revision for switch in switches)

    def live(self) -> int:
        """Return how many endpoints are plugged in and known."""
        return len(self.ask("GET", "/v1/live/endpoints")[1]["items"])

    def build(self, world: World) -> float:
        """Bring an empty controller to a world in one revision; return the seconds.

        Raises:
            ProductError: an endpoint did not find its port.
        """
        return self.build_with(world, [])

    def build_with(self, world: World, more: Sequence[Document]) -> float:
        """As `build`, with further documents beside the world's."""
        took = self.apply([*world.documents(), *more])
        if self.live() < len(world.endpoints):
            raise ProductError(f"{self.live()} of {len(world.endpoints)} endpoints are plugged in")
        return took

    def flows(self) -> int:
        """Return how many flows the bridge holds."""
        return len(self.ovs.ofctl("dump-flows", BRIDGE).splitlines()) - 1


@contextmanager
def fresh_product(ports: int) -> Iterator[Product]:
    """Yield a new controller without intents, on a new switch with so many ports plugged.

    Raises:
        SwitchCrashedError: at the end, if the switch ended by itself.
    """
    with Janitor() as janitor, PrivateOvs(janitor) as ovs:
        product = Product(janitor, ovs)
        product.start()
        product.plug(ports)
        yield product
        ovs.check()
        product.kill()

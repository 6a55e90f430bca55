"""A private Open vSwitch: its own directory, ovsdb-server and ovs-vswitchd, and its own namespace.

Needs nothing from the machine's own Open vSwitch and never touches it. The userspace datapath
(`datapath_type=netdev`) needs no kernel module; several instances make several hosts.

    with Janitor() as janitor, PrivateOvs(janitor) as ovs:
        ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
        ovs.ofctl("add-flow", "br0", "actions=drop")
"""

from __future__ import annotations

import enum
import os
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from mininet_scenarios import shell
from mininet_scenarios.janitor import Janitor

SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
START_TIMEOUT_S = 90.0
"""A machine that is busy with other things may take its time; a second is usual."""
STOP_TIMEOUT_S = 30.0
VSCTL_TIMEOUT_S = 60
REMADE_S = 10.0
"""Time that a bridge is given to be there again, which Open vSwitch makes anew with its database."""


class Daemon(enum.StrEnum):
    """The two programs of Open vSwitch."""

    DATABASE = "ovsdb-server"
    SWITCH = "ovs-vswitchd"


class SwitchCrashedError(AssertionError):
    """A daemon ended, restarted or logged an abort that nobody asked for. Fails the test that sees it."""


def missing() -> str | None:
    """Return why a private Open vSwitch cannot run here, or None when it can."""
    if os.geteuid() != 0:
        return "needs root: network namespaces and veth pairs"
    if not SCHEMA.exists():
        return "needs Open vSwitch: run `make setup` (Debian package openvswitch-switch)"
    return None


class PrivateOvs:
    """One Open vSwitch instance. A context manager; the janitor cleans up after it in any case.

    `netns` names the namespace it runs in; by default it gets one of its own, so bridges of the same
    name (whose local port is an interface) never collide; `isolated=False` stays in the current one.
    `remotes` are further OVSDB listeners, as `ptcp:6640:127.0.0.1`.
    """

    def __init__(
        self, janitor: Janitor, *, netns: str | None = None, isolated: bool = True, remotes: Sequence[str] = ()
    ) -> None:
        self.janitor = janitor
        self.netns = janitor.netns() if netns is None and isolated else netns
        self.directory = janitor.directory()
        self.remotes = tuple(remotes)
        self._running: dict[Daemon, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            if kind is None:
                self.check()
        finally:
            self.stop()

    # -- where things are ---------------------------------------------------------------------

    @property
    def db_target(self) -> str:
        """OVSDB target, as Open vSwitch writes it: `unix:/…/db.sock`."""
        return f"unix:{self.directory / 'db.sock'}"

    @property
    def env(self) -> dict[str, str]:
        """Environment that points every Open vSwitch tool at this instance."""
        here = str(self.directory)
        return dict.fromkeys(("OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR", "OVS_SYSCONFDIR"), here)

    @property
    def where(self) -> shell.Surroundings:
        """Surroundings for programs that run beside this switch (same namespace, same tools)."""
        return self.janitor.surroundings(self.netns, self.env)

    def socket(self, daemon: Daemon) -> Path:
        """Return the control socket of a daemon."""
        return self.directory / f"{daemon}.ctl"

    def log(self, daemon: Daemon) -> Path:
        """Return the log file of a daemon (it grows over restarts)."""
        return self.directory / f"{daemon}.log"

    # -- tools --------------------------------------------------------------------------------

    def vsctl(self, *words: str, wait: bool = True) -> str:
        """Run ovs-vsctl; `wait` until the switch has done it."""
        options = [f"--timeout={VSCTL_TIMEOUT_S}", *(() if wait else ("--no-wait",))]
        return self._tool(["ovs-vsctl", f"--db={self.db_target}", *options, *words]).strip()

    def ofctl(self, *words: str, text: str = "", protocol: str = "OpenFlow14") -> str:
        """Run ovs-ofctl; `text` is its standard input (a file named `-`)."""
        return self._tool(["ovs-ofctl", "-O", protocol, *words], text)

    def flows(self, bridge: str) -> list[str]:
        """Return the flows of a bridge without counters, sorted; one that is just being made anew is asked again."""
        give_up_at = time.monotonic() + REMADE_S
        while True:
            try:
                return sorted(self.ofctl("--no-stats", "dump-flows", bridge).splitlines()[1:])
            except shell.CommandError:
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(0.05)

    def appctl(self, *words: str, daemon: Daemon = Daemon.SWITCH) -> str:
        """Run ovs-appctl against one of the daemons."""
        return self._tool(["ovs-appctl", f"--target={self.socket(daemon)}", *words])

    def _tool(self, argv: list[str], text: str = "") -> str:
        # Unix sockets need no namespace, and entering one costs milliseconds.
        return shell.run(argv, text=text, where=self.janitor.surroundings(env=self.env))

    def version(self) -> tuple[int, ...]:
        """Return the version of ovs-vswitchd: (3, 1, 0)."""
        said = self._tool([Daemon.SWITCH, "--version"])
        found = re.search(r"(\d+(?:\.\d+)+)", said)
        if found is None:
            raise shell.CommandError(f"ovs-vswitchd --version says no version: {said!r}")
        return tuple(int(part) for part in found[1].split("."))

    # -- life and death -----------------------------------------------------------------------

    def start(self) -> None:
        """Create the database if there is none, and start both daemons."""
        database = self.directory / "conf.db"
        if not database.exists():
            self._tool(["ovsdb-tool", "create", str(database), str(SCHEMA)])
        self.start_daemon(Daemon.DATABASE)
        self.vsctl("--", "init", wait=False)
        self.start_daemon(Daemon.SWITCH)

    def start_daemon(self, daemon: Daemon) -> None:
        """Start one daemon and wait until it answers.

        Raises:
            CommandError: it does not, with the end of its log.
        """
        self.socket(daemon).unlink(missing_ok=True)
        with self.log(daemon).open("ab") as log:
            process = self.janitor.start(self._argv(daemon), where=self.where, output=log)
        self._running[daemon] = process
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers(daemon):
            if process.poll() is not None or time.monotonic() > deadline:
                raise shell.CommandError(f"{daemon} does not start: {shell.read_tail(self.log(daemon))}")
            time.sleep(0.01)

    def _answers(self, daemon: Daemon) -> bool:
        if not self.socket(daemon).exists():
            return False
        try:
            self.appctl("version", daemon=daemon)
        except shell.CommandError:  # the socket exists before it listens
            return False
        return True

    def _argv(self, daemon: Daemon) -> list[str]:
        common = [f"--unixctl={self.socket(daemon)}", "-vconsole:info", "-vfile:off", "-vsyslog:off"]
        if daemon is Daemon.SWITCH:
            return [daemon, *common, "--disable-system", self.db_target]
        remotes = [f"p{self.db_target}", "db:Open_vSwitch,Open_vSwitch,manager_options", *self.remotes]
        return [daemon, *common, *(f"--remote={r}" for r in remotes), str(self.directory / "conf.db")]

    def pid(self, daemon: Daemon) -> int:
        """Return the process id of a running daemon."""
        return self._running[daemon].pid

    def kill(self, daemon: Daemon) -> None:
        """Kill a daemon with SIGKILL, and return when it is gone."""
        process = self._running.pop(daemon)
        process.kill()
        process.wait()

    def stop_daemon(self, daemon: Daemon) -> None:
        """Ask a daemon to end, and return when it has; kill one that does not."""
        process = self._running.pop(daemon)
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def restart(self, daemon: Daemon, *, gently: bool = True) -> None:
        """Stop (or kill) a daemon and start it again."""
        if gently:
            self.stop_daemon(daemon)
        else:
            self.kill(daemon)
        self.start_daemon(daemon)

    def replace_database(self) -> None:
        """Give the running switch an empty database instead of its own."""
        self.stop_daemon(Daemon.DATABASE)
        database = self.directory / "conf.db"
        database.unlink()
        self._tool(["ovsdb-tool", "create", str(database), str(SCHEMA)])
        self.start_daemon(Daemon.DATABASE)
        self.vsctl("--", "init", wait=False)

    def stop(self) -> None:
        """Stop whatever runs. The directory stays until the janitor closes."""
        for daemon in (Daemon.SWITCH, Daemon.DATABASE):
            if daemon in self._running:
                self.stop_daemon(daemon)

    # -- health -------------------------------------------------------------------------------

    def logs(self) -> str:
        """Return the ends of both logs."""
        return "".join(f"--- {d}\n{shell.read_tail(self.log(d))}\n" for d in Daemon)

    def check(self) -> None:
        """Make sure that neither daemon died by itself or logged an emergency.

        Raises:
            SwitchCrashedError: with the end of the logs.
        """
        for daemon, process in self._running.items():
            code = process.poll()
            if code is not None:
                raise SwitchCrashedError(f"{daemon} ended with {code}\n{self.logs()}")
            if "|EMER|" in shell.read_tail(self.log(daemon), 1_000_000):
                raise SwitchCrashedError(f"{daemon} logged an emergency\n{self.logs()}")

"""An ovsdb-server of our own without a switch: plain or clustered, any schema."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
WAIT_S = 60.0


def wait_for(what, wait_s: float = WAIT_S):
    """Return what `what` finds, once it finds something."""
    deadline = time.monotonic() + wait_s
    while not (found := what()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return found


class Database:
    """One server on a unix socket; `argv` are options for it, `clustered` makes it a cluster of one."""

    def __init__(self, janitor, *argv: str, schema: str = SCHEMA, clustered: bool = False) -> None:
        self.directory = Path(janitor.directory())
        self.janitor = janitor
        self.path = self.directory / "s"
        self.target = f"unix:{self.path}"
        self._schema = schema
        self._argv = argv
        self._clustered = clustered
        self._process: subprocess.Popen[bytes] | None = None
        self.create()

    def create(self) -> None:
        """Make an empty database, in the place of one that may be there."""
        file = self.directory / "db"
        file.unlink(missing_ok=True)
        address = [f"unix:{self.directory}/raft"] if self._clustered else []
        verb = "create-cluster" if self._clustered else "create"
        subprocess.run(["ovsdb-tool", verb, str(file), self._schema, *address], check=True, capture_output=True)

    def start(self) -> Database:
        """Start it and wait until it serves."""
        here = self.directory
        argv = ["ovsdb-server", f"--remote=p{self.target}", f"--unixctl={here / 'ctl'}", "-vconsole:off", "-vfile:off"]
        with (here / "log").open("ab") as log:
            self._process = self.janitor.start([*argv, *self._argv, str(here / "db")], output=log)
        wait_for(lambda: self.path.exists() and self._serves())
        return self

    def _serves(self) -> bool:
        done = subprocess.run(["ovsdb-client", "list-dbs", self.target], capture_output=True, text=True, check=False)
        return done.returncode == 0 and (not self._clustered or "Open_vSwitch" in done.stdout)

    def stop(self) -> None:
        """End it."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(WAIT_S)
        self.path.unlink(missing_ok=True)

    def restart(self) -> None:
        """End it and start it again on the same file."""
        self.stop()
        self.start()

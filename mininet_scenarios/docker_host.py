"""A private Docker host inside a sandbox: Open vSwitch, controller, driver and dockerd, all its own.

Needs `mininet_scenarios.sandbox`: dockerd looks for drivers in `/run/docker/plugins`, which only there is
not the machine's. Images are made here from a static busybox; no registry is asked.

    with Janitor() as janitor, DockerHost(janitor) as host:
        host.network("shop")
        host.docker("run", "-d", "--network", "shop", "--label", "tier=web", IMAGE, "sleep", "60")
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml

from mininet_scenarios import sandbox, shell
from mininet_scenarios.controller import PROJECT, Controller, Settings
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.private_ovs import PrivateOvs
from mininet_scenarios.private_ovs import missing as ovs_missing

DRIVER = "ringfence"
IMAGE = "ringfence/busybox"
PLUGIN_SOCKET = Path("/run/docker/plugins") / f"{DRIVER}.sock"
CGROUPS = Path("/sys/fs/cgroup")
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 40.0
CALL_TIMEOUT_S = 120.0
CLIENT = "/usr/bin/docker" if os.access("/usr/bin/docker", os.X_OK) else "docker"
"""Debian's own, where it is: another on PATH may be too new for this dockerd."""
PROGRAMS = ("dockerd", "containerd", "runc", "docker", "busybox", "iptables", "nft")
APPLETS = (
    "sh",
    "sleep",
    "nc",
    "ping",
    "cat",
    "ip",
    "httpd",
    "wget",
    "nslookup",
    "echo",
    "true",
    "arping",
    "seq",
    "timeout",
)


def missing() -> str | None:
    """Return why a Docker daemon of our own cannot run here, or None when it can."""
    why = ovs_missing()
    if why is not None:
        return why
    gone = [program for program in PROGRAMS if shutil.which(program) is None]
    if gone:
        return f"needs {', '.join(gone)}: apt-get install docker.io busybox-static iptables nftables (or make setup)"
    if not CGROUPS.is_dir() or not os.access(CGROUPS, os.W_OK):
        return f"needs control groups that can be written at {CGROUPS}"
    return None


def cgroup_name() -> str:
    """Return the control group of all containers of the sandbox; whoever made the sandbox names it."""
    return os.environ.get("RINGFENCE_CGROUP", "ringfence-docker")


def run_inside(argv: list[str]) -> int:
    """Run a program in a new sandbox, return its exit code, and remove the control groups it left."""
    with Janitor() as janitor:
        name = os.environ["RINGFENCE_CGROUP"] = janitor.name("docker")
        janitor.record("cgroup", name)
        try:
            return sandbox.run_inside(argv)
        finally:
            del os.environ["RINGFENCE_CGROUP"]


class DockerHost:
    """One host. A context manager; its parts are started, killed and started again one by one."""

    def __init__(self, janitor: Janitor, driver_options: Mapping[str, object] | None = None) -> None:
        """Nothing starts before `start`; `driver_options` are keys of the driver's configuration.

        Raises:
            RuntimeError: this process is not in a sandbox.
        """
        if not sandbox.is_inside():
            raise RuntimeError("a Docker host needs a sandbox: mininet_scenarios.docker_host.run_inside")
        self.janitor = janitor
        self.directory = janitor.directory()
        self.ovs = PrivateOvs(janitor, isolated=False)
        self.controller = Controller(janitor, Settings(self.ovs.db_target))
        self.socket = self.directory / "docker.sock"
        self.state_dir = self.directory / "driver"
        self._config = self.directory / "driver.yaml"
        self.configure(driver_options or {})
        (self.directory / "daemon.json").write_text("{}")
        self.dockerd: subprocess.Popen[bytes] | None = None
        self.driver: subprocess.Popen[bytes] | None = None

    def configure(self, options: Mapping[str, object]) -> None:
        """Write the driver's configuration, for its next start: what fits this host, and `options` over it."""
        self._config.write_text(yaml.safe_dump(self._driver_config() | dict(options)))

    def _driver_config(self) -> dict[str, object]:
        return {
            "socket": str(PLUGIN_SOCKET),
            "engine": str(self.socket),
            "token_file": str(self.controller.state_dir / "token"),
            "state_dir": str(self.state_dir),
            "log_level": "debug",
        }

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and make the image."""
        self.ovs.start()
        self.controller.start()
        self.start_driver()
        self.start_dockerd()
        self.controller.wait()
        self.make_image(IMAGE)

    def stop(self) -> None:
        """Stop everything, dockerd first so that it still finds the driver."""
        if self.dockerd is not None:
            # Containers first: dockerd gives each of them ten seconds otherwise.
            with contextlib.suppress(shell.CommandError):
                self.docker("kill", *self.docker("ps", "-q").split())
        self._end("dockerd")
        self._end("driver")
        self.controller.stop()
        self.ovs.stop()

    # -- parts ---------------------------------------------------------------------------------

    def start_driver(self) -> None:
        """Start the driver and wait for its socket."""
        argv = [sys.executable, "-P", "-m", "docker_driver", "--config", str(self._config)]
        where = self.janitor.surroundings(env={"PYTHONPATH": str(PROJECT)})
        with self.log("driver").open("ab") as log:
            self.driver = self.janitor.start(argv, where=where, output=log)
        self._wait("driver", PLUGIN_SOCKET.exists)

    def start_dockerd(self) -> None:
        """Start dockerd, which touches neither bridge nor firewall of its own, and wait until it answers."""
        self.socket.unlink(missing_ok=True)
        argv = [
            "dockerd", "--data-root", f"{self.directory}/data", "--exec-root", f"{self.directory}/exec",
            "--host", f"unix://{self.socket}", "--pidfile", f"{self.directory}/pid",
            "--config-file", f"{self.directory}/daemon.json", "--bridge=none", "--iptables=false",
            "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", f"--cgroup-parent=/{cgroup_name()}",
        ]  # fmt: skip
        with self.log("dockerd").open("ab") as log:
            self.dockerd = self.janitor.start(argv, output=log)
        self._wait("dockerd", self._dockerd_answers)

    def kill(self, part: str) -> None:
        """Kill `driver` or `dockerd` with SIGKILL, and return when it is gone."""
        process: subprocess.Popen[bytes] | None = getattr(self, part)
        if process is not None:
            process.kill()
            process.wait()
        setattr(self, part, None)
        if part == "driver":
            PLUGIN_SOCKET.unlink(missing_ok=True)  # only so that `start_driver` knows when the new one listens

    def _end(self, part: str) -> None:
        process: subprocess.Popen[bytes] | None = getattr(self, part)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        setattr(self, part, None)

    def _dockerd_answers(self) -> bool:
        try:
            return self.socket.exists() and bool(self.docker("version", "--format", "{{.Server.Version}}"))
        except shell.CommandError:
            return False

    def _wait(self, part: str, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        process: subprocess.Popen[bytes] | None = getattr(self, part)
        while not done():
            if process is None or process.poll() is not None or time.monotonic() > deadline:
                raise shell.CommandError(f"{part} does not start: {shell.read_tail(self.log(part))}")
            time.sleep(0.02)

    def restart_driver(self, options: Mapping[str, object] | None = None) -> None:
        """Kill the driver and start it again, with these options."""
        self.kill("driver")
        self.configure(options or {})
        self.start_driver()

    def log(self, part: str) -> Path:
        """Return the log of `driver` or `dockerd`."""
        return self.directory / f"{part}.log"

    # -- use -----------------------------------------------------------------------------------

    def docker(self, *words: str, timeout_s: float = CALL_TIMEOUT_S) -> str:
        """Run the docker command against this host.

        Raises:
            CommandError: it failed or took too long.
        """
        where = self.janitor.surroundings(env={"DOCKER_HOST": f"unix://{self.socket}", "DOCKER_CONFIG": "/run/none"})
        return shell.run([CLIENT, *words], timeout_s=timeout_s, where=where).strip()

    def network(self, name: str, *words: str) -> None:
        """Make a network of ours."""
        self.docker("network", "create", "-d", DRIVER, "--ipam-driver", DRIVER, *words, name)

    def make_image(self, name: str, *changes: str) -> None:
        """Import a file system of one static busybox as an image; `changes` are lines of a Dockerfile."""
        where = self.janitor.surroundings(env={"DOCKER_HOST": f"unix://{self.socket}", "DOCKER_CONFIG": "/run/none"})
        words = [word for change in changes for word in ("--change", change)]
        done = subprocess.run(
            [CLIENT, "import", *words, "-", name],
            input=_tree(),
            env=where.environment(),
            capture_output=True,
            timeout=CALL_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            raise shell.CommandError(f"docker import: {done.stderr.decode(errors='replace')}")

    def check(self) -> None:
        """Make sure that no part died by itself.

        Raises:
            SwitchCrashedError, CommandError: one did, with the end of its log.
        """
        self.ovs.check()
        for part in ("driver", "dockerd"):
            process: subprocess.Popen[bytes] | None = getattr(self, part)
            if process is not None and process.poll() is not None:
                raise shell.CommandError(f"{part} ended with {process.returncode}: {shell.read_tail(self.log(part))}")


def _tree() -> bytes:
    """Return a tar with busybox, a link for each applet, and the directories that programs expect."""
    busybox = Path(shutil.which("busybox") or "busybox")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(busybox.resolve(), "bin/busybox")
        for entry in _links():
            tar.addfile(entry)
    return buffer.getvalue()


def _links() -> Iterator[tarfile.TarInfo]:
    for applet in APPLETS:
        link = tarfile.TarInfo(f"bin/{applet}")
        link.type, link.linkname = tarfile.SYMTYPE, "busybox"
        yield link
    for name in ("etc", "tmp", "www", "proc", "sys", "dev"):
        directory = tarfile.TarInfo(name)
        directory.type, directory.mode = tarfile.DIRTYPE, 0o755
        yield directory


if __name__ == "__main__":
    sys.stdout.write(missing() or "")

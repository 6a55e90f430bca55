"""A controller that cannot write says so and goes on; it stops when asked, and all is well once it can write."""

from __future__ import annotations

import contextlib
import http.client
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.live.test_web import CONFIG, ROOT, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

BAD_STORE = 4
NETWORK = "{kind: Network, name: n, subnets: [10.0.0.0/24]}"
NOTHING, EVERYTHING = (1, resource.RLIM_INFINITY), (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
"""Sizes to which files may grow: a full disk for one process, without root."""


class Started:
    """A controller without switches, its log, and its API."""

    def __init__(self, path: Path) -> None:
        self.path, self.port = path, free_port()
        config = CONFIG.format(openflow=free_port(), rest=self.port, path=path)
        (path / "c.yaml").write_text(config)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, full: bool = False) -> subprocess.Popen[bytes]:
        """Start it, on a disk that is full already if asked; it dies with us, however we end."""
        limit = ["prlimit", "--fsize=1:unlimited"] if full else []
        argv = [sys.executable, "-m", "cli.main", "run", "--config", f"{self.path}/c.yaml"]
        argv = ["setpriv", "--pdeathsig", "KILL", *limit, *argv]
        self.process = subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.PIPE)  # a file would be full, too
        return self.process

    def end(self, code: int) -> str:
        """Return what it said when it has ended with this code."""
        assert self.process
        said = self.process.communicate(timeout=90)[1].decode()
        assert self.process.returncode == code, said
        assert "Traceback" not in said, said
        return said

    def ask(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as client:
            headers = {"Authorization": f"Bearer {(self.path / 'token').read_text().strip()}"}
            client.request(method, path, body, headers | {"Content-Type": "application/yaml"})
            answer = client.getresponse()
            return answer.status, answer.read().decode()

    def wait(self) -> None:
        deadline = time.monotonic() + 90
        while True:
            try:
                assert self.ask("GET", "/v1/health")[0] == http.HTTPStatus.OK
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            else:
                return


@pytest.fixture
def started(tmp_path) -> Iterator[Started]:
    started = Started(tmp_path)
    yield started
    if started.process:
        started.process.kill()
        started.process.communicate()


def test_a_full_disk_refuses_writes_with_the_remedy_and_nothing_else(started: Started) -> None:
    process = started.start()
    started.wait()
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, NOTHING)
    status, said = started.ask("POST", "/v1/apply", NETWORK)
    assert (status, "free disk space" in said) == (503, True), said
    assert started.ask("GET", "/v1/networks/n")[0] == http.HTTPStatus.NOT_FOUND
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, EVERYTHING)
    assert started.ask("POST", "/v1/apply", NETWORK)[0] == http.HTTPStatus.OK
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, NOTHING)
    process.terminate()
    assert "not durable" in started.end(0), "what is not durable at the end does not keep it from ending"


def test_a_start_on_a_full_disk_says_so_and_advises_against_nothing_that_is_there(started: Started) -> None:
    process = started.start()
    started.wait()
    assert started.ask("POST", "/v1/apply", NETWORK)[0] == http.HTTPStatus.OK
    process.terminate()
    started.end(0)
    started.start(full=True)
    said = started.end(BAD_STORE)
    assert "free disk space" in said
    assert "backup" not in said
    started.start()
    started.wait()
    assert started.ask("GET", "/v1/networks/n")[0] == http.HTTPStatus.OK

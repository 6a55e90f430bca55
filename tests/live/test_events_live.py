"""The event stream over real sockets: resumed, kept alive, and rid of clients that do not read."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cli.exits import Exit
from cli.main import main
from tests.unit.cli_kit import TOKEN

ROOT = Path(__file__).parents[2]
STORM, TURNS = 1000, 20
"""Reports of half a kilobyte, raised and settled again and again: more than sockets and journal hold."""


SERVER = """
import eventlet; eventlet.monkey_patch()
import sys, time
from pathlib import Path
from types import SimpleNamespace
from eventlet.green.os import read
from intent.api import Ports, make_app, watching
from intent.store import Store
from ryu_apps.reconciler import Reconciler
from ryu_apps.surveyor import Surveyor
from ryu_apps.web import Web
from tests.unit.cli_kit import TOKEN, World
from tests.unit.site_kit import INTENTS, site_of
from topology.model import Inventory, Report

watching.HEARTBEAT_S = 0.1
revision = 1
planner = SimpleNamespace(site=site_of(), built=SimpleNamespace(inventory=Inventory()), built_from=INTENTS)
surveyor = Surveyor(planner, Reconciler(0xB, 60.0), lambda: revision)
surveyor.look_now()
store = Store(Path(sys.argv[1]) / "store.db")
app = make_app(Ports(store, *(World(store),) * 6, topology=surveyor), token=TOKEN)
web = Web(SimpleNamespace(host="127.0.0.1", port=0, tls=None), app)
web.start()
print(web._socket.getsockname()[1], flush=True)
while words := read(0, 100).decode().split():
    began_at = time.monotonic()
    if words[0] == "happen":
        revision += int(words[1])
    elif words[0] == "storm":
        reports = tuple(Report(f"r{words[1]}-{n}", "p" * 500, "r") for n in range(int(words[2])))
        surveyor.reports = lambda: reports
    surveyor.look_now()
    print(surveyor._readers, time.monotonic() - began_at, flush=True)
"""


class Stage:
    """A process with a surveyor that looks when told, served as the controller does."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-c", SERVER, str(path)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.address = ("127.0.0.1", int(self._line()))

    def _line(self) -> bytes:
        assert self.process.stdout
        return self.process.stdout.readline()

    def tell(self, *words: object) -> tuple[int, float]:
        """Let something happen; return how many readers there are, and how long it took."""
        assert self.process.stdin
        self.process.stdin.write(" ".join(map(str, words)).encode() + b"\n")
        self.process.stdin.flush()
        readers, seconds = self._line().split()
        return int(readers), float(seconds)

    @property
    def readers(self) -> int:
        return self.tell("readers")[0]


@pytest.fixture
def stage(tmp_path, monkeypatch):
    stage = Stage(tmp_path)
    (tmp_path / "token").write_text(TOKEN + "\n")
    monkeypatch.setenv("RINGFENCE_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("RINGFENCE_SERVER", f"http://127.0.0.1:{stage.address[1]}")
    yield stage
    stage.process.kill()
    stage.process.communicate()


def ask(stage, *headers: str) -> socket.socket:
    client = socket.create_connection(stage.address, timeout=30)
    words = ["GET /v1/events HTTP/1.1", "Host: x", f"Authorization: Bearer {TOKEN}", *headers, "", ""]
    client.sendall("\r\n".join(words).encode())
    return client


def read_until(client: socket.socket, what: bytes) -> bytes:
    data = b""
    while what not in data:
        chunk = client.recv(65536)
        assert chunk, data
        data += chunk
    return data


def eventually(done, timeout_s: float = 30.0) -> bool:
    give_up_at = time.monotonic() + timeout_s
    while not done() and time.monotonic() < give_up_at:
        time.sleep(0.02)
    return done()


def test_an_event_arrives_while_the_request_is_open_and_a_lost_connection_is_resumed(stage):
    with ask(stage) as client:
        assert b"text/event-stream" in read_until(client, b"id: b-1\n\n")
        stage.tell("happen", 1)
        began_at = time.monotonic()
        read_until(client, b"event: revision.applied\n")
        assert time.monotonic() - began_at < 20
        read_until(client, b"\n:\n\n")  # a heartbeat
    stage.tell("happen", 2)
    with ask(stage, "Last-Event-ID: b-2") as client:
        data = read_until(client, b"id: b-4\n")
        assert (data.count(b"event: "), data.count(b"id: b-3\n")) == (2, 1)
    assert eventually(lambda: stage.readers == 0)


def test_a_client_that_does_not_read_is_let_go_and_others_lose_nothing(stage):
    with ask(stage) as slow, ask(stage) as quick:
        assert eventually(lambda: stage.readers == 2)
        told = 0
        for turn in range(TURNS):
            assert stage.tell("storm", turn, STORM)[1] < 20, "a socket that nobody reads would hold it for ever"
            data = read_until(quick, f'"r{turn}-999"'.encode())
            told += data.count(b"event: report.raised\n")
        assert told == TURNS * STORM
        read_until(slow, b"event: dropped\n")
    assert eventually(lambda: stage.readers == 0)


def test_the_command_follows_and_ends_after_as_many_as_it_was_told(stage, capsys):
    stage.tell("happen", 2)
    assert main(["events", "--after", "oldest", "--limit", "2", "--json"]) == Exit.OK
    lines = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert [e["kind"] for e in lines] == ["host.connected", "revision.applied"]
    assert main(["events", "--after", lines[1]["id"], "--limit", "1"]) == Exit.OK
    assert "revision.applied  3" in capsys.readouterr().out
    assert main(["events", "--after", "rubbish"]) == Exit.REFUSED
    assert "header.Last-Event-ID" not in capsys.readouterr().err


def test_the_command_ends_with_the_newest_where_it_is_asked_once(stage, capsys):
    stage.tell("happen", 2)
    assert main(["events", "--once", "--json"]) == Exit.OK
    lines = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert "revision.applied" in {e["kind"] for e in lines}
    assert main(["events", "--once", "--after", lines[0]["id"], "--json"]) == Exit.OK
    assert [json.loads(text) for text in capsys.readouterr().out.splitlines()] == lines[1:]
    assert main(["events", "--once", "--after", lines[-1]["id"]]) == Exit.OK
    assert capsys.readouterr().out == ""


def test_the_command_is_told_of_what_it_missed_and_goes_on(stage, capsys):
    done = threading.Event()

    def follow() -> None:
        main(["events", "--after", "9-1", "--limit", "2", "--json"])
        done.set()

    thread = threading.Thread(target=follow)
    thread.start()
    assert eventually(lambda: stage.readers == 1)
    stage.tell("happen", 1)
    assert done.wait(30)
    thread.join()
    kinds = [json.loads(text)["kind"] for text in capsys.readouterr().out.splitlines()]
    assert kinds == ["reset", "revision.applied"]


def test_the_picture_is_drawn_from_a_real_answer(stage, capsys):
    assert main(["topology"]) == Exit.OK
    assert capsys.readouterr().out.startswith("host unix:db up ")
    assert main(["topology", "-o", "dot"]) == Exit.OK
    assert main(["topology", "-o", "json"]) == Exit.OK
    assert '"event": "b-1"' in capsys.readouterr().out

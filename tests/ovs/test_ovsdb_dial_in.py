"""Hosts that dial in: real ovsdb-servers with a Manager row, over TCP and TLS; and going on where one left off."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import ssl
import sys
import threading
from types import SimpleNamespace

import pytest

from ovsdb import Listen, Listener, Tls, open_session
from ovsdb.listener import ask_name
from tests.ovs.database_kit import Database, wait_for
from tests.ovs.ovsdb_kit import QUICK, Follower
from tests.ovs.pki_kit import make_pki, sign
from topology.events import HostForgotten, HostLost, HostResynced, RootRow
from topology.site import empty_site, reduce


class Desk:
    """A listener on loopback, the clients it made, and the site their events add up to."""

    def __init__(self, **options) -> None:
        self.site = empty_site("me", [])
        self.events: list = []
        self.clients: dict = {}
        self._lock = threading.Lock()
        listen = Listen(**{"host": "127.0.0.1", "port": 0, **options})
        self.listener = Listener(listen, self._take, self._register, QUICK)

    def _take(self, event) -> None:
        with self._lock:
            self.events.append(event)
            self.site = reduce(self.site, event)

    def _register(self, client) -> None:
        self.clients[client.host] = client

    def __enter__(self):
        self.listener.start()
        return self

    def __exit__(self, *_):
        self.listener.stop()

    def here(self, *names: str) -> bool:
        return all(n in self.site.hosts and self.site.hosts[n].synced and not self.site.hosts[n].stale for n in names)


def dial_in(database: Database, desk: Desk, kind: str = "tcp", name: str = "") -> None:
    ids = [["map", [["system-id", name]]]] if name else [["map", []]]
    manager = {"target": f"{kind}:127.0.0.1:{desk.listener.port}", "max_backoff": 1000}
    with open_session(database.target) as session:
        session.transact(
            [
                {"op": "delete", "table": "Open_vSwitch", "where": []},
                {"op": "insert", "table": "Manager", "uuid-name": "m", "row": manager},
                {
                    "op": "insert",
                    "table": "Open_vSwitch",
                    "row": {"manager_options": ["named-uuid", "m"], "external_ids": ids[0]},
                },
            ]
        )


MANAGED = "--remote=db:Open_vSwitch,Open_vSwitch,manager_options"


@pytest.fixture
def database(janitor):
    return Database(janitor, MANAGED).start()


def test_a_host_registers_by_dialling_in_and_comes_back_after_a_restart(database):
    with Desk() as desk:
        dial_in(database, desk, name="host-a")
        wait_for(lambda: desk.here("host-a"))
        assert isinstance(desk.site.hosts["host-a"].root, RootRow)
        client = desk.clients["host-a"]
        (result,) = client.transact([{"op": "select", "table": "Manager", "where": [], "columns": ["target"]}])
        assert len(result["rows"]) == 1
        database.restart()
        wait_for(lambda: sum(isinstance(e, HostResynced) for e in desk.events) >= 2 and desk.here("host-a"))
        assert any(isinstance(e, HostLost) for e in desk.events)
        assert desk.clients["host-a"] is client, "it is the same host"


def test_a_database_replaced_by_an_empty_one_is_believed_once_it_dials_in(database):
    with Desk() as desk:
        dial_in(database, desk, name="host-a")
        wait_for(lambda: desk.here("host-a"))
        database.stop()
        database.create()
        database.start()
        dial_in(database, desk, name="host-a")
        with open_session(database.target) as session:
            session.transact(
                [{"op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": [["next_cfg", "+=", 7]]}]
            )
        wait_for(lambda: desk.here("host-a") and desk.site.hosts["host-a"].root.next_cfg == 7)
        assert len(desk.site.hosts["host-a"].rows) == 1, "nothing of the old one is left"


def test_a_host_that_is_away_can_be_forgotten_and_may_come_again(database):
    with Desk() as desk:
        dial_in(database, desk, name="host-a")
        wait_for(lambda: desk.here("host-a"))
        assert not desk.listener.forget("host-a"), "it is here"
        database.stop()
        wait_for(lambda: desk.site.hosts["host-a"].stale)
        assert wait_for(lambda: desk.listener.forget("host-a"))
        assert not desk.listener.forget("host-a")
        desk.site = reduce(desk.site, HostForgotten("host-a"))
        assert desk.site.hosts == {}
        database.start()
        wait_for(lambda: desk.here("host-a"))


def test_a_second_host_of_the_same_name_is_refused_while_the_first_answers(database, janitor, caplog):
    other = Database(janitor, MANAGED).start()
    with Desk() as desk:
        dial_in(database, desk, name="host-a")
        wait_for(lambda: desk.here("host-a"))
        root = desk.site.hosts["host-a"].root.uid
        dial_in(other, desk, name="host-a")
        wait_for(lambda: "is connected already and answers" in caplog.text)
        assert desk.site.hosts["host-a"].root.uid == root
        database.stop()
        wait_for(lambda: desk.here("host-a") and desk.site.hosts["host-a"].root.uid != root)


def test_hosts_without_a_name_and_those_not_listed_are_refused(database, caplog):
    with Desk(names=frozenset({"host-b"})) as desk:
        dial_in(database, desk)
        wait_for(lambda: "external_ids:system-id=NAME" in caplog.text)
        caplog.clear()
        desk.listener._logged.clear()
        dial_in(database, desk, name="host-a")
        wait_for(lambda: "'host-a' is not admitted; add the name to ovsdb.listen.hosts" in caplog.text)
        dial_in(database, desk, name="host-b")
        wait_for(lambda: desk.here("host-b"))
        assert set(desk.site.hosts) == {"host-b"}


@pytest.fixture(scope="module")
def pki(session_janitor):
    where = make_pki(session_janitor.directory(), "controller", "host-a", "host-b")
    sign(where, "forged", "stranger", "host-a")
    sign(where, "ovspki", common="host-c id:6d5fa4d8-7a7a-4b4e-8f0c-000000000000")
    return where


def files(pki, name: str) -> Tls:
    return Tls(str(pki / f"{name}-key.pem"), str(pki / f"{name}.pem"), str(pki / "ca.pem"))


def secured(janitor, pki, name: str) -> Database:
    keys = files(pki, name)
    return Database(
        janitor, MANAGED, f"--private-key={keys.key}", f"--certificate={keys.cert}", f"--ca-cert={keys.ca}"
    ).start()


def test_with_tls_a_host_is_who_its_certificate_says_whatever_its_database_claims(janitor, pki, caplog):
    with Desk(tls=files(pki, "controller"), names=frozenset({"host-a", "host-c"})) as desk:
        dial_in(secured(janitor, pki, "host-a"), desk, "ssl", name="host-b")
        dial_in(secured(janitor, pki, "ovspki"), desk, "ssl", name="host-a")
        wait_for(lambda: desk.here("host-a", "host-c"))
        dial_in(secured(janitor, pki, "host-b"), desk, "ssl", name="host-a")
        wait_for(lambda: "'host-b' is not admitted" in caplog.text)
        assert set(desk.site.hosts) == {"host-a", "host-c"}


GREEN = """
import eventlet
eventlet.monkey_patch()
import sys
from ovsdb import Listen, Listener, Tls
from topology.events import HostResynced
events, clients, beats = [], [], []
listener = Listener(Listen("127.0.0.1", 0, Tls(*sys.argv[1:])), events.append, clients.append)
listener.start()
def beat():
    while True:
        beats.append(1)
        eventlet.sleep(0.005)
eventlet.spawn(beat)
print(listener.port, flush=True)
with eventlet.Timeout(60):
    while not any(isinstance(e, HostResynced) for e in events):
        eventlet.sleep(0.01)
assert clients[0].alive(2) and len(beats) > 3
listener.stop()
print(clients[0].host, flush=True)
"""


def test_with_tls_under_eventlet_as_in_the_controller(janitor, pki):
    keys = files(pki, "controller")
    argv = [sys.executable, "-W", "ignore", "-c", GREEN, keys.key, keys.cert, keys.ca]
    process = janitor.start(argv, pipe=True)
    desk = SimpleNamespace(listener=SimpleNamespace(port=int(process.stdout.readline())))
    with socket.create_connection(("127.0.0.1", desk.listener.port)):  # one that never begins its handshake
        dial_in(secured(janitor, pki, "host-a"), desk, "ssl")
        assert process.stdout.readline().strip() == b"host-a"
    assert process.wait(30) == 0


@pytest.mark.parametrize(("also", "fits"), [("IP:127.0.0.1", True), ("IP:127.0.0.9,DNS:localhost", False), ("", False)])
def test_who_is_dialled_must_carry_the_name_where_that_is_asked(janitor, pki, tmp_path, also, fits):
    for name in ("ca.pem", "ca-key.pem"):
        (tmp_path / name).write_bytes((pki / name).read_bytes())
    sign(tmp_path, "server", also=also)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    keys = files(tmp_path, "server")
    options = (f"--private-key={keys.key}", f"--certificate={keys.cert}", f"--ca-cert={keys.ca}")
    Database(janitor, f"--remote=pssl:{port}:127.0.0.1", *options).start()
    tls = dataclasses.replace(files(pki, "controller"), check_hostname=True)
    follower = Follower(f"ssl:127.0.0.1:{port}", tls=tls)
    follower.client.start()
    follower.until(lambda: follower.events)
    follower.client.stop()
    assert isinstance(follower.events[0], HostResynced if fits else HostLost)


def test_a_certificate_of_a_stranger_and_none_at_all_are_refused(janitor, pki, caplog):
    with Desk(tls=files(pki, "controller")) as desk:
        dial_in(secured(janitor, pki, "forged"), desk, "ssl", name="host-a")
        wait_for(lambda: "not admitted" in caplog.text)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(pki / "ca.pem")
        context.check_hostname = False
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", desk.listener.port)) as plain,
            context.wrap_socket(plain) as nameless,
        ):
            assert nameless.recv(1) == b""
        assert desk.site.hosts == {}


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00" * 100,
        b'{"id":"system-id","result":[{"rows":[{"external_ids":5}]}]}',
        b'{"id":"system-id","result":[{"rows":[]}]}',
        b'{"a":"' + b"x" * (2 << 20),
        b'{"id":7}',
    ],
    ids=["nothing", "http", "zeros", "no map", "no row", "endless", "something else"],
)
def test_strangers_who_babble_are_cut_off_and_honest_hosts_still_served(said, database, caplog):
    with Desk() as desk:
        with socket.create_connection(("127.0.0.1", desk.listener.port)) as stranger, contextlib.suppress(OSError):
            stranger.sendall(said)
            if said:
                wait_for(lambda: "not admitted" in caplog.text)
            dial_in(database, desk, name="host-a")
            wait_for(lambda: desk.here("host-a"))
        assert set(desk.site.hosts) == {"host-a"}


def test_a_half_open_connection_gives_way_to_a_new_one_of_the_same_host(caplog, monkeypatch):
    """A host whose network was cut dials in again; the old connection never said that it ended."""
    monkeypatch.setattr("ovsdb.listener.PROBE_S", 0.2)

    def greet(desk) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", desk.listener.port))
        sock.recv(4096)
        ids = '["map",[["system-id","host-a"]]]'
        sock.sendall(f'{{"id":"system-id","result":[{{"rows":[{{"external_ids":{ids}}}]}}],"error":null}}'.encode())
        return sock

    with Desk() as desk, greet(desk) as first:
        wait_for(lambda: b"monitor_cond_since" in first.recv(65536))
        with greet(desk) as second:
            wait_for(lambda: b"monitor_cond_since" in second.recv(65536))


def test_a_name_is_asked_for_before_anything_else_and_echoes_are_answered():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        theirs.sendall(b'{"id":"e","method":"echo","params":[1]}')
        theirs.sendall(b'{"id":"system-id","result":[{"rows":[{"external_ids":["map",[["system-id","h"]]]}]}]}')
        assert ask_name(ours, "peer") == "h"
        assert theirs.recv(4096).endswith(b'{"result":[1],"error":null,"id":"e"}')
    ours.close()


def test_a_clustered_server_lets_us_go_on_where_we_left_off(janitor):
    """`monitor_cond_since` finds our transaction: only what happened since crosses the wire, deletes included."""
    database = Database(janitor, clustered=True).start()
    with open_session(database.target) as session:
        session.transact([{"op": "insert", "table": "Open_vSwitch", "row": {}}])

    def named(name: str) -> None:
        bridge = {"op": "insert", "table": "Bridge", "uuid-name": "b", "row": {"name": name}}
        link = [["bridges", "insert", ["set", [["named-uuid", "b"]]]]]
        with open_session(database.target) as session:
            session.transact([bridge, {"op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": link}])

    for number in range(40):
        named(f"filler{number}")  # a server keeps a history no larger than its database
    named("one")
    named("two")
    with Follower(database.target) as follower:
        follower.until(lambda: follower.site.bridge(follower.host, "two"))
        database.path.rename(database.directory / "away")
        follower.client.drop()
        follower.until(lambda: follower.site.hosts[follower.host].stale)
        (database.directory / "away").rename(database.path)
        with open_session(database.target) as session:
            (found,) = session.transact([{"op": "select", "table": "Bridge", "where": [["name", "==", "one"]]}])
            uid = found["rows"][0]["_uuid"]
            session.transact(
                [{"op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": [["bridges", "delete", uid]]}]
            )
        named("three")
        follower.until(lambda: follower.site.bridge(follower.host, "three"))
        follower.until(lambda: not follower.site.bridge(follower.host, "one"))
        assert follower.site.bridge(follower.host, "two")
        assert follower.client.resumed == 1
        database.restart()
        follower.until(lambda: sum(isinstance(e, HostResynced) for e in follower.events) >= 3)
        assert {b.name for b in follower.site.bridges()} >= {"two", "three"}
        assert len(follower.site.bridges()) == 42


def test_a_server_without_resumption_is_asked_for_everything(janitor):
    database = Database(janitor).start()
    with Follower(database.target) as follower:
        follower.client.drop()
        follower.until(lambda: sum(isinstance(e, HostResynced) for e in follower.events) == 2)
        assert follower.client.resumed == 0


def test_two_dozen_hosts_at_once(janitor):
    """Each dials in, all are told apart, one that goes is told alone."""
    with Desk() as desk:
        databases = [Database(janitor, MANAGED).start() for _ in range(24)]
        for number, database in enumerate(databases):
            dial_in(database, desk, name=f"h{number}")
        names = [f"h{number}" for number in range(24)]
        wait_for(lambda: desk.here(*names))
        databases[7].stop()
        wait_for(lambda: desk.site.hosts["h7"].stale)
        assert desk.here(*(n for n in names if n != "h7"))

"""`/v1/hosts` and `ringfence ovsdb`: what is asked of the hosts is exactly what was meant, and refusals say why."""

from __future__ import annotations

import json

import falcon.testing
import pytest

from cli.exits import Failure
from cli.ovsdb import fields
from intent.api import make_app
from intent.api.host_bodies import NAMED, SINGLE
from intent.api.host_ports import HostChange, HostStatus, NoHosts
from intent.api.plug_refused import PlugRefused
from intent.api.ports import Ports

TOKEN = "0123456789abcdef" * 4
CHANGE = HostChange("set", "Port", "p1", "tag", "5", "7", "Port p1: tag: 5 -> 7")
LOCAL = "unix:/var/run/db.sock"


class Hosts:
    """Two hosts; remembers what was asked, and refuses when told to."""

    def __init__(self) -> None:
        self.asked: list = []
        self.refusal: PlugRefused | None = None

    def hosts(self):
        return [
            HostStatus(LOCAL, dials_in=False, connected=True, ovs_version="3.1.0", bridge="br-ring", problem=""),
            HostStatus("host-b", dials_in=True, connected=False, ovs_version="", bridge="", problem="away"),
        ]

    def ensure(self, *what, dry_run):
        self.asked.append(("ensure", *what, dry_run))
        if self.refusal:
            raise self.refusal
        return [CHANGE]

    def forget(self, host) -> None:
        self.asked.append(("forget", host))
        if self.refusal:
            raise self.refusal

    def remove(self, *what, dry_run):
        self.asked.append(("remove", *what, dry_run))
        return []


@pytest.fixture
def hosts():
    return Hosts()


@pytest.fixture
def client(hosts):
    app = make_app(Ports(*(None,) * 7, hosts=hosts), token=TOKEN)
    return falcon.testing.TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"})


def test_hosts_are_listed_with_the_ids_that_paths_take(client):
    items = client.simulate_get("/v1/hosts").json["items"]
    assert [(h["host"], h["id"], h["dialsIn"]) for h in items] == [
        (LOCAL, "unix:~var~run~db.sock", False),
        ("host-b", "host-b", True),
    ]


def test_a_setting_is_asked_for_as_it_was_written(client, hosts):
    body = {"maxRate": 1000, "queues": {"7": {"minRate": 5, "dscp": 46}}}
    said = client.simulate_put("/v1/hosts/host-b/queues/web-1", params={"dry_run": "1"}, json=body)
    assert said.status_code == 200
    assert said.json["changes"][0]["text"] == CHANGE.text
    assert (said.json["changed"], said.json["dryRun"], said.json["host"]) == (True, True, "host-b")
    ((_, host, kind, name, asked, dry_run),) = hosts.asked
    assert (host, kind, name, dry_run) == ("host-b", "queues", "web-1", True)
    assert asked["max_rate"] == 1000
    assert asked["queues"]["7"] == {"min_rate": 5, "max_rate": None, "burst": None, "priority": None, "dscp": 46}


def test_numbers_and_booleans_are_written_as_ovsdb_has_them(client, hosts):
    body = {"type": "geneve", "key": 7, "options": {"csum": True, "dst_port": 6081}}
    assert client.simulate_put("/v1/hosts/host-b/tunnels/t", json=body).status_code == 200
    asked = hosts.asked[0][4]
    assert (asked["key"], asked["options"]) == ("7", {"csum": "true", "dst_port": "6081"})


def test_what_is_not_there_may_be_removed_and_a_slash_in_a_host_is_a_tilde(client, hosts):
    said = client.simulate_delete("/v1/hosts/unix:~var~run~db.sock/netflow")
    assert (said.status_code, said.json["changed"], said.json["host"]) == (200, False, LOCAL)
    assert hosts.asked == [("remove", LOCAL, "netflow", "", False)]


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        ("/v1/hosts/host-b/tunnels/t", {"type": "lisp"}, "body.type"),
        ("/v1/hosts/host-b/tunnels/t", {"type": "geneve", "colour": 1}, "body.colour"),
        ("/v1/hosts/host-b/ports/p", {"mtu": "1400"}, "body.mtu"),
        ("/v1/hosts/host-b/ports/p", {"options": {"a": "\n"}}, "body.options.a"),
        ("/v1/hosts/host-b/queues/p", {"queues": {"x": {}}}, "body.queues.x.[key]"),
        ("/v1/hosts/host-b/sflow", {"targets": []}, "body.targets"),
        ("/v1/hosts/nobody/ssl", {"key": "/k", "cert": "/c", "ca": "/a"}, "path.host"),
        ("/v1/hosts/host-b/mirrors/" + "m" * 301, {}, "path.name"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_asked(client, hosts, path, body, where):
    said = client.simulate_put(path, json=body)
    assert said.status_code in {400, 422}
    assert said.json["errors"][0]["path"] == where
    assert said.json["errors"][0]["remedy"]
    assert hosts.asked == []


@pytest.mark.parametrize(("passing", "status"), [(True, 503), (False, 422)])
def test_a_refusal_is_told_with_its_remedy(client, hosts, passing, status):
    hosts.refusal = PlugRefused("the bridge is not ours", "adopt it", passing=passing)
    said = client.simulate_put("/v1/hosts/host-b/policing/p", json={"rateKbps": 5})
    assert said.status_code == status
    assert said.json["errors"][0]["message"] == "the bridge is not ours"


def test_a_host_is_forgotten_or_it_is_said_why_not(client, hosts):
    assert client.simulate_delete("/v1/hosts/host-b").json["changed"] is True
    hosts.refusal = PlugRefused("it is connected", "end its connection", passing=False)
    said = client.simulate_delete("/v1/hosts/host-b")
    assert (said.status_code, said.json["errors"][0]["remedy"]) == (422, "end its connection")
    assert hosts.asked == [("forget", "host-b")] * 2


def test_a_server_without_hosts_says_so():
    assert NoHosts().hosts() == ()
    with pytest.raises(PlugRefused, match="manages none"):
        NoHosts().remove("h", "ssl", "", dry_run=True)


def test_every_kind_is_described(client):
    paths = client.simulate_get("/openapi.json").json["paths"]
    for kind in NAMED:
        assert {"put", "delete"} <= paths[f"/v1/hosts/{{host}}/{kind}/{{name}}"].keys()
    for kind in SINGLE:
        assert {"put", "delete"} <= paths[f"/v1/hosts/{{host}}/{kind}"].keys()


def test_fields_of_the_command_line_become_json():
    words = [
        "type=geneve",
        "remote=192.0.2.1",
        "key=7",
        "vlan.tag=7",
        "vlan.mode=access",
        "a.b.c=true",
        "t=",
        "x=null?",
    ]
    assert json.loads(json.dumps(fields(words))) == {
        "type": "geneve",
        "remote": "192.0.2.1",
        "key": 7,
        "vlan": {"tag": 7, "mode": "access"},
        "a": {"b": {"c": True}},
        "t": "",
        "x": "null?",
    }


@pytest.mark.parametrize("words", [["a"], ["=1"], ["a..b=1"], ["a=1", "a=2"], ["a=1", "a.b=2"], ["a.b=1", "a=2"]])
def test_fields_that_contradict_are_refused(words):
    with pytest.raises(Failure):
        fields(words)

"""`/v1/ports`: validated before it reaches a switch, idempotent, and described."""

import falcon.testing
import pytest

from intent.api import Ports, make_app
from intent.api.plug_refused import PlugRefused
from intent.api.ports import Plugged, PlugHost
from intent.store import Store
from tests.unit.api_kit import TOKEN, World

HOST = "unix:/db.sock"


class Plugs:
    def __init__(self):
        self.table, self.refusal = {}, None

    def hosts(self):
        return [PlugHost(HOST, "br-ring", "netdev", connected=True)]

    def plugged(self):
        return [Plugged(HOST, name, 1, "", ids) for name, ids in self.table.items()]

    def plug(self, host, name, external_ids):
        if self.refusal:
            raise self.refusal
        assert host in {"", HOST}
        changed = self.table.get(name) != external_ids
        self.table[name] = external_ids
        return changed

    def unplug(self, host, name):
        if self.refusal:
            raise self.refusal
        return self.table.pop(name, None) is not None


@pytest.fixture
def plugs():
    return Plugs()


@pytest.fixture
def client(tmp_path, plugs):
    ports = Ports(Store(tmp_path / "store.db"), *(World(),) * 6, plugs)
    return falcon.testing.TestClient(make_app(ports, token=TOKEN), headers={"Authorization": f"Bearer {TOKEN}"})


def test_a_port_comes_and_goes_and_both_may_be_repeated(client):
    ids = {"iface-id": "web-1", "ringfence:label/tier": "web", "docker-endpoint": "x"}
    for changed in (True, False):
        answer = client.simulate_put("/v1/ports/v1", json={"externalIds": ids, "host": HOST})
        assert (answer.status_code, answer.json) == (200, {"name": "v1", "changed": changed})
    listed = client.simulate_get("/v1/ports").json
    assert listed["hosts"] == [{"host": HOST, "bridge": "br-ring", "datapathType": "netdev", "connected": True}]
    assert listed["items"] == [{"host": HOST, "name": "v1", "ofport": 1, "problem": "", "externalIds": ids}]
    for changed in (True, False):
        answer = client.simulate_delete("/v1/ports/v1", params={"host": HOST})
        assert (answer.status_code, answer.json) == (200, {"name": "v1", "changed": changed})


@pytest.mark.parametrize(
    ("name", "body", "status", "path"),
    [
        ("x" * 16, {}, 400, "path.name"),
        ("-x", {}, 400, "path.name"),
        ("a%20b", {}, 400, "path.name"),
        ("v1", {"externalIds": {"ringfence": "owner"}}, 422, "body.externalIds.ringfence"),
        ("v1", {"externalIds": {"ringfence:label/a b": "x"}}, 422, "body.externalIds"),
        ("v1", {"externalIds": {"iface-id": "x" * 3000}}, 422, "body.externalIds.iface-id"),
        ("v1", {"externalIds": {"iface-id": "a\nb"}}, 422, "body.externalIds.iface-id"),
        ("v1", {"externalIds": {"iface-id": 1}}, 422, "body.externalIds.iface-id"),
        ("v1", {"externalIds": {f"ringfence:label/k{n}": "" for n in range(161)}}, 422, "body.externalIds"),
        ("v1", {"external": {}}, 422, "body.external"),
        ("v1", [], 422, "body"),
    ],
)
def test_what_is_wrong_reaches_no_switch(client, plugs, name, body, status, path):
    answer = client.simulate_put(f"/v1/ports/{name}", json=body)
    assert answer.status_code == status
    assert answer.json["errors"][0]["path"].startswith(path)
    assert plugs.table == {}


@pytest.mark.parametrize(("passing", "status"), [(True, 503), (False, 422)])
def test_a_refusal_says_whether_it_may_pass(client, plugs, passing, status):
    plugs.refusal = PlugRefused("no", "later", passing=passing)
    for answer in (client.simulate_put("/v1/ports/v1", json={}), client.simulate_delete("/v1/ports/v1")):
        assert answer.status_code == status
        assert answer.json["errors"][0] == {"path": "ports/v1", "message": "no", "remedy": "later", "line": None}


def test_the_description_knows_it(client):
    described = client.simulate_get("/openapi.json").json
    assert described["paths"]["/v1/ports/{name}"]["put"]["requestBody"]
    assert "externalIds" in described["components"]["schemas"]["PortBody"]["properties"]


def test_a_server_without_switches_refuses(tmp_path):
    ports = Ports(Store(tmp_path / "other.db"), *(World(),) * 6)
    client = falcon.testing.TestClient(make_app(ports, token=TOKEN), headers={"Authorization": f"Bearer {TOKEN}"})
    assert client.simulate_put("/v1/ports/v1", json={}).status_code == 422
    assert client.simulate_get("/v1/ports").json == {"hosts": [], "items": []}

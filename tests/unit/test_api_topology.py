"""`/v1/topology` and `/v1/events` with plain values behind them."""

import dataclasses
import json
from datetime import UTC, datetime

import falcon.testing
import pytest

from intent.api import Ports, make_app
from intent.api.ports import TooManyReaders
from intent.store import Store
from tests.unit.api_kit import TOKEN, World
from topology.map import (
    BridgeNode,
    EndpointNode,
    HostNode,
    LinkNode,
    Map,
    NetworkNode,
    PortNode,
    Role,
    State,
    TunnelNode,
)
from topology.news import Journal, News
from topology.paths import LinkEnd

T0 = datetime(2026, 5, 1, tzinfo=UTC)
LINK = LinkNode(LinkEnd(1, 2), LinkEnd(2, 1), State.DOWN, T0)
WHOLE = Map(
    hosts={"tcp:h": HostNode("tcp:h", State.UP, "3.1.0", T0)},
    bridges={("tcp:h", "br"): BridgeNode("tcp:h", "br", 1, State.UP, "netdev", T0)},
    ports={("tcp:h", "br", "v1"): PortNode("tcp:h", "br", 1, "v1", "u", "", 1, Role.ENDPOINT, State.UP, "", T0)},
    links={(LINK.a, LINK.b): LINK},
    tunnels={("tcp:h", "br", "g"): TunnelNode("tcp:h", "br", "g", "geneve", "192.0.2.1", State.UP, T0)},
    networks={"shop": NetworkNode("shop", 1, ("tcp:h",), State.UP, T0)},
    endpoints={
        "web": EndpointNode(
            "web", "shop", {"b": "2", "a": "1"}, "02:00:00:00:00:01", ("10.0.0.1",), "tcp:h", 1, 1, "v1", "u",
            State.UP, T0,
        )
    },
)  # fmt: skip


@dataclasses.dataclass
class Reader:
    """Gives what it was given, then says that it fell behind."""

    batches: list
    closed: int = 0

    def next(self, timeout_s: float):
        assert timeout_s > 1
        return self.batches.pop(0) if self.batches else None

    def close(self) -> None:
        self.closed += 1


@dataclasses.dataclass
class Scene:
    """A topology, and one reader for whoever asks."""

    reader: Reader | None = None
    full: bool = False
    asked: list[str] = dataclasses.field(default_factory=list)

    def look(self):
        return "5-9", WHOLE

    def follow(self, after: str):
        self.asked.append(after)
        if self.full:
            raise TooManyReaders
        return "5-2", self.reader


@pytest.fixture
def scene():
    return Scene()


@pytest.fixture
def client(scene, tmp_path):
    app = make_app(Ports(Store(tmp_path / "s.db"), *(World(),) * 6, topology=scene), token=TOKEN)
    return falcon.testing.TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"})


def test_the_topology_is_one_answer_with_the_event_that_it_includes(client):
    body = client.simulate_get("/v1/topology").json
    assert body["event"] == "5-9"
    since = "2026-05-01T00:00:00+00:00"
    assert body["links"] == [
        {
            "a": {"dpid": "0000000000000001", "ofport": 2},
            "b": {"dpid": "0000000000000002", "ofport": 1},
            "state": "down",
            "since": since,
        }
    ]
    assert body["bridges"][0]["datapathType"] == "netdev"
    assert body["ports"][0]["role"] == "endpoint"
    assert body["endpoints"][0]["labels"] == {"a": "1", "b": "2"}
    assert "uid" not in body["endpoints"][0]
    assert body["networks"] == [
        {"name": "shop", "endpoints": 1, "hosts": ["tcp:h"], "state": "up", "since": since},
    ]
    assert body["tunnels"][0]["remote"] == "192.0.2.1"


def entries(*news: News):
    journal = Journal("5", 10)
    journal.append(news, T0)
    return [(journal.mark(e.number), e) for e in journal.after(0, 10) or ()]


def test_events_are_sent_with_ids_heartbeats_and_a_last_word(client, scene):
    scene.reader = Reader([entries(News("endpoint.came", "web\nid: 9-9", {"ofport": 1})), []])
    answer = client.simulate_get("/v1/events")
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-store"
    parts = answer.text.split("\n\n")
    assert parts[0] == "retry: 2000\nid: 5-2"
    head, kind, data = parts[1].split("\n")
    assert (head, kind) == ("id: 5-1", "event: endpoint.came")
    assert json.loads(data.removeprefix("data: ")) == {
        "id": "5-1", "at": "2026-05-01T00:00:00+00:00", "kind": "endpoint.came", "subject": "web\nid: 9-9",
        "details": {"ofport": 1},
    }  # fmt: skip
    assert parts[2] == ":"
    assert parts[3].startswith("event: dropped\ndata: ")
    assert scene.reader.closed == 1


def test_who_missed_events_is_told_to_read_anew_and_where_to_go_on(client, scene):
    text = client.simulate_get("/v1/events", headers={"Last-Event-ID": "4-7"}).text
    assert scene.asked == ["4-7"]
    assert text.startswith("id: 5-2\nevent: reset\n")


@pytest.mark.parametrize(("headers", "after"), [({}, "5-1"), ({"Last-Event-ID": "5-2"}, "oldest")])
def test_the_header_of_a_client_that_comes_again_wins(client, scene, headers, after):
    scene.reader = Reader([])
    client.simulate_get("/v1/events", headers=headers, params={"after": after})
    assert scene.asked == [headers.get("Last-Event-ID", after)]


@pytest.mark.parametrize("bad", ["7", "x-1", "5-1\x01", "newest", "5-" + "1" * 16])
def test_an_id_of_another_form_is_refused_with_its_place(client, scene, bad):
    answer = client.simulate_get("/v1/events", headers={"Last-Event-ID": bad})
    assert (answer.status_code, answer.json["errors"][0]["path"]) == (400, "header.Last-Event-ID")
    assert client.simulate_get("/v1/events", params={"after": bad}).status_code == 400
    assert not scene.asked


def test_too_many_readers_are_refused_for_now(client, scene):
    scene.full = True
    assert client.simulate_get("/v1/events").status_code == 503


def test_a_server_without_switches_has_an_empty_topology(tmp_path):
    app = make_app(Ports(Store(tmp_path / "s.db"), *(World(),) * 6), token=TOKEN)
    client = falcon.testing.TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"})
    assert client.simulate_get("/v1/topology").json["hosts"] == []
    assert client.simulate_get("/v1/events").status_code == 503


def test_openapi_says_that_events_are_a_stream(client):
    paths = client.simulate_get("/openapi.json").json["paths"]
    content = paths["/v1/events"]["get"]["responses"]["2XX"]["content"]
    assert content == {"text/event-stream": {"schema": {"$ref": "#/components/schemas/EventAnswer"}}}

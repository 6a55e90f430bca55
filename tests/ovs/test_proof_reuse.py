"""Whoever gets an address next inherits nothing of the connections that were open on it."""

from __future__ import annotations

import time

import pytest

from mininet_scenarios import namespaces
from tests.ovs.controller_bench import BRIDGE, until
from tests.soak.field import Field, policy
from tests.soak.record import Record

OPEN = policy("p", "allow web app tcp/80", "allow web app udp/5001", "allow peer app udp/5002")
"""Nothing for `guest`."""
STEADY = (1, 2)
WEB_PORT = 40001


class Place:
    """One port name, MAC and address that `web` and `guest` hold in turn, each in a namespace of its own."""

    def __init__(self, field: Field, source: str) -> None:
        self.field = field
        self.source = source
        self.homes = {"web": field.netns["web"], "guest": field.janitor.netns()}

    def vacate(self) -> None:
        """The workload ends in the middle of its streams: port and interface go."""
        self.field.ovs.vsctl("del-port", BRIDGE, self.field.port("web"))
        namespaces.unplug([self.field.port("web")], self.field.ovs.netns)

    def name_next(self, who: str) -> None:
        """Say in documents who comes next, where documents say it."""
        field = self.field
        gone = "guest" if who == "web" else "web"
        status, answer = field.bench.ask("DELETE", f"/v1/endpoints/{gone}?wait=realized&timeout=50")
        assert status in {200, 204, 404}, answer
        if self.source == "documents":
            field.apply(field.endpoint("web", app=who).replace("name: web\n", f"name: {who}\n"))

    def plug(self, who: str) -> None:
        """Put the port into the bridge, with what OVSDB says of it in the same transaction."""
        field = self.field
        ids = {
            "iface-id": who, "attached-mac": field.mac("web"), "ringfence:ip": field.address("web"),
            "ringfence:network": "lan", "ringfence:label/app": who,
        }  # fmt: skip
        port = field.port("web")
        words = [f'external_ids:"{key}"="{value}"' for key, value in ids.items()] if self.source == "ovsdb" else []
        field.ovs.vsctl("add-port", BRIDGE, port, *(["--", "set", "interface", port, *words] if words else []))
        assert until(lambda: who in field.live()), field.bench.said()


@pytest.fixture
def field(janitor, ovs):
    return Field(janitor, ovs, ["web", "app", "peer"])


def live_streams(field: Field, turn: int) -> list[dict[str, object]]:
    """Return what `web` does in one turn; its server sends too, and will not stop when `web` goes."""
    return [
        field.stream(100 * turn, "udp", "web", "app", 5001, interval_s=0.002, sport=WEB_PORT),
        field.stream(100 * turn + 1, "tcp", "web", "app", 80),
        field.stream(100 * turn + 2, "udp", "web", "app", 5001, interval_s=0.002, driver="server"),
    ]


def guests_streams(field: Field, turn: int, home: str) -> list[dict[str, object]]:
    """Return what `guest` tries: the very connection of `web`, a new one, and new TCP connections."""
    here = {"client": (home, field.address("web")), "driver": "client", "interval_s": 0.002}
    return [
        {**field.stream(100 * turn + 10, "udp", "web", "app", 5001, sport=WEB_PORT), **here},
        {**field.stream(100 * turn + 11, "udp", "web", "app", 5001), **here},
        {**field.stream(100 * turn + 12, "knock", "web", "app", 80), **here, "interval_s": 0.01},
    ]


def take_turn(field: Field, place: Place, turn: int) -> tuple[float, float]:
    """Let `web` work, then go, and `guest` come in its place; return from when to when `guest` was there."""
    mine = live_streams(field, turn)
    field.traffic.open(mine)
    field.traffic.ask("drive", ids=[s["id"] for s in mine])
    time.sleep(0.3)
    place.vacate()
    place.name_next("guest")
    field.wire("web", place.homes["guest"])
    theirs = guests_streams(field, turn, place.homes["guest"])
    field.traffic.open(theirs, but=[s["id"] for s in (*mine, *theirs)])
    field.traffic.ask("guard", netns=place.homes["guest"], interface="eth0", sources=[])
    field.traffic.ask("drive", ids=[s["id"] for s in theirs])
    since = time.monotonic()
    place.plug("guest")
    time.sleep(0.4)
    place.vacate()
    until_at = time.monotonic()
    field.traffic.ask("close", ids=[n for s in (*mine, *theirs) if (n := s["id"]) != 100 * turn + 2])
    place.name_next("web")
    field.wire("web", place.homes["web"])
    place.plug("web")
    field.settle()  # the same labels again, but another attachment: the server's stream is not its
    field.traffic.ask("close", ids=[100 * turn + 2])
    return since, until_at


def inherited(record: Record, field: Field, turn: int, stay: tuple[float, float]) -> int:
    """Return how many packets of `guest` arrived, and how many of `web`'s connections arrived at whoever came next."""
    own, app = field.address("web"), field.address("app")
    caught = [c for c in record.caught if stay[0] <= c[0] <= stay[1] and {c[1], c[2]} == {own, app}]
    (servers,) = record.of([100 * turn + 2])
    heirs = servers.arrived(begin=stay[0])
    return record.delivered(range(100 * turn + 10, 100 * turn + 13)) + len(caught) + len(heirs)


@pytest.mark.parametrize("source", ["documents", "ovsdb"])
def test_the_next_holder_of_an_address_inherits_nothing(field, effort, figure, source):
    turns = effort(short=2, full=10)
    field.start(OPEN)
    place = Place(field, source)
    if source == "ovsdb":
        place.vacate()
        place.name_next("guest")
        field.wire("web", place.homes["web"])
        place.plug("web")
        field.settle()
    steady = [field.stream(n, "udp", "peer", "app", 5002, interval_s=0.002) for n in STEADY]
    field.traffic.open(steady)
    field.traffic.ask("guard", netns=field.netns["app"], interface="eth0", sources=[field.address("web")])
    field.traffic.ask("drive", ids=STEADY)
    stays = {turn: take_turn(field, place, turn) for turn in range(1, turns + 1)}
    record = field.traffic.report()
    for turn, (since, until_at) in stays.items():
        for flow in record.of(range(100 * turn, 100 * turn + 3)):
            assert flow.arrived(end=since), "web's streams ran"
        assert record.sent([100 * turn + 10]), "guest tried"
        (servers,) = record.of([100 * turn + 2])
        assert servers.sent[-1] > until_at, "app went on sending to the address, also when web was back"
    assert any(field.address("web") == sender for _, sender, *_ in record.caught), "the guard sees what passes"
    passed = sum(inherited(record, field, turn, stay) for turn, stay in stays.items())
    figure(f"reuse: addresses that changed hands in the middle of streams, by {source}", turns, "times")
    figure(f"reuse: packets to or from the next holder that passed, by {source}", passed, "packets", at_most=0)
    lost = record.lost(STEADY)
    figure(f"reuse: datagrams of others lost meanwhile, by {source}", lost, "datagrams", at_most=0)

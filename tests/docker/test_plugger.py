"""Ports follow what is joined and identified, whatever fails in between; nothing unidentified is plugged in."""

import dataclasses
import random

import pytest

from docker_driver.ipam import Ipam
from docker_driver.labels import Rules
from docker_driver.network import Driver, outer_name
from docker_driver.orphans import Orphans
from docker_driver.plugger import Plugger
from docker_driver.publishing import HostPorts
from docker_driver.state import Endpoint, Network, State
from tests.docker.plugger_kit import FakeController, FakeEngine, uid

NET = uid(7)


@pytest.fixture
def state(tmp_path):
    state = State(tmp_path)
    state.put_network(Network(NET, "", ("10.1.0.0/24",)))
    yield state
    state.close()


@pytest.fixture
def engine():
    engine = FakeEngine()
    engine.names[NET] = "shop"
    return engine


@pytest.fixture
def controller():
    return FakeController()


@pytest.fixture
def plugger(state, engine, controller):
    return Plugger(state, engine, controller, Rules())


def end(number, *, joined=True, made_at=0.0):
    return Endpoint(
        uid(number << 240), NET, f"02:42:00:00:00:{number:02x}", (f"10.1.0.{number}/24",), ((6, 80),), made_at, joined
    )


def test_a_port_says_who_it_is(state, engine, controller, plugger):
    state.put_endpoint(end(2))
    engine.attach(NET, end(2).uid, "web-1", tier="web")
    assert plugger.look()
    assert controller.networks == {"shop": ("10.1.0.0/24",)}
    ids = controller.table[outer_name(end(2).uid)]
    assert ids["docker-endpoint"] == end(2).uid
    assert {k: v for k, v in ids.items() if k.startswith(("iface", "attached", "ringfence")) and "docker" not in k} == {
        "iface-id": "web-1.shop",
        "attached-mac": "02:42:00:00:00:02",
        "ringfence:ip": "10.1.0.2",
        "ringfence:network": "shop",
        "ringfence:label/tier": "web",
        "ringfence:port/tcp-80": "tcp/80",
    }


def test_nothing_is_plugged_in_before_its_labels_are_known(state, engine, controller, plugger):
    state.put_endpoint(end(2))
    assert not plugger.look()
    assert controller.table == {}
    engine.away = True
    assert not plugger.look()
    assert controller.table == {}


def test_what_left_is_unplugged_even_while_the_engine_is_away(state, engine, controller, plugger):
    state.put_endpoint(end(2))
    engine.attach(NET, end(2).uid, "web-1")
    plugger.look()
    engine.away = True
    state.put_endpoint(end(2, joined=False))
    assert plugger.look()
    assert controller.table == {}


def test_a_restarted_driver_leaves_running_containers_alone(state, engine, controller, plugger):
    state.put_endpoint(end(2))
    engine.attach(NET, end(2).uid, "web-1")
    plugger.look()
    controller.calls.clear()
    engine.away = True
    again = Plugger(state, engine, controller, Rules())
    assert not again.look()
    engine.away = False
    assert again.look()
    assert [call for call in controller.calls if call[0] in {"put", "delete"}] == []


def test_a_port_of_somebody_who_had_the_name_before_goes(state, engine, controller, plugger):
    controller.table[outer_name(end(2).uid)] = {"docker-endpoint": uid(1), "iface-id": "old"}
    state.put_endpoint(end(2))
    assert not plugger.look()
    assert controller.table == {}


def test_a_refused_port_does_not_hold_up_others(state, engine, controller, plugger):
    for number in (2, 3):
        state.put_endpoint(end(number))
        engine.attach(NET, end(number).uid, f"c{number}")
    controller.refuses.add(outer_name(end(2).uid))
    assert not plugger.look()
    assert set(controller.table) == {outer_name(end(3).uid)}
    controller.refuses.clear()
    assert plugger.look()
    assert len(controller.table) == 2


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_in_whatever_order_it_settles(state, engine, controller, seed):
    rng = random.Random(seed)
    plugger = Plugger(state, engine, controller, Rules())
    for _ in range(60):
        number = rng.randrange(2, 8)
        match rng.randrange(6):
            case 0 | 1:
                state.put_endpoint(end(number))
                engine.attach(NET, end(number).uid, f"c{number}")
            case 2:
                state.put_endpoint(end(number, joined=False))
            case 3:
                engine.away = rng.random() < 0.3
            case 4:
                controller.away = rng.random() < 0.3
            case 5:
                plugger = Plugger(state, engine, controller, Rules())
        plugger.look()
    engine.away = controller.away = False
    plugger.forget()
    assert plugger.look()
    joined = {e.uid for e in state.endpoints().values() if e.joined}
    assert {ids["docker-endpoint"] for ids in controller.table.values()} == joined


# -- orphans -----------------------------------------------------------------------------------


class Room:
    def __init__(self, state, engine):
        self.now = 1000.0
        self.driver = Driver(state, lambda: None, str, "", HostPorts())
        self.ipam = Ipam(state, [], 600, lambda: self.now)
        self.orphans = Orphans(state, engine, self.driver, self.ipam, lambda: self.now)


def test_orphans_are_collected_at_the_second_look_and_the_young_are_not(state, engine):
    room = Room(state, engine)
    engine.options = [Network(NET, "", ("10.1.0.0/24",))]
    state.put_endpoint(end(2, made_at=1.0))
    state.put_endpoint(end(3, made_at=990.0))
    state.put_endpoint(end(4, made_at=1.0))
    engine.attach(NET, end(4).uid, "alive")
    for number in (2, 4, 5):
        room.ipam.request_address("10.1.0.0/24", f"10.1.0.{number}", end(number).mac)
    room.orphans.look()
    assert len(state.endpoints()) == 3
    room.orphans.look()
    assert set(state.endpoints()) == {end(3).uid, end(4).uid}
    room.orphans.look()
    room.orphans.look()
    assert [address for _, address, _ in room.ipam.held()] == ["10.1.0.4"]


def test_nothing_is_collected_while_the_engine_is_away(state, engine):
    room = Room(state, engine)
    engine.options = [Network(NET, "", ("10.1.0.0/24",))]
    state.put_endpoint(end(2, made_at=1.0))
    room.orphans.look()
    engine.away = True
    with pytest.raises(Exception, match="away"):
        room.orphans.look()
    assert len(state.endpoints()) == 1


def test_a_network_that_was_forgotten_is_taken_in_again(state, engine):
    lost = dataclasses.replace(Network(uid(8), "other", ("10.2.0.0/24",)), mtu=1400)
    engine.options, engine.names[uid(8)] = [lost], "other"
    Room(state, engine).orphans.look()
    assert state.network(uid(8)) == lost

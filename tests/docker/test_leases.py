"""Addresses of several hosts and one controller: never one twice, whatever is lost, late or killed."""

import itertools
import random
import sqlite3
import threading
import time

import falcon.testing
import pytest

from docker_driver.errors import Refused, Unreachable
from docker_driver.ipam import GATEWAY, Ipam
from docker_driver.leases import WAIT_S, Leases, read_answer
from docker_driver.state import State
from tests.docker.leases_kit import Clock, Host, Server, Wire

SUBNET = "10.1.0.0/24"
NUMBERS = itertools.count(1000)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server(tmp_path, clock):
    server = Server(tmp_path, clock, falcon.testing.TestClient)
    yield server
    server.store.close()


@pytest.fixture
def hosts(tmp_path, server, clock):
    made = [Host(tmp_path / name, Wire(server), clock) for name in "abc"]
    yield made
    for host in made:
        host.state.close()


def mac(number):
    return f"02:42:00:00:{number >> 8:02x}:{number & 255:02x}"


def look(host):
    """Look as every 30 s, also if nothing seems new."""
    host.leases._settled = ()
    assert host.leases.look()


def fill(host, subnet, count=1000):
    """Take all that can be had; return it."""
    given = []
    for _ in range(count):
        look(host)
        try:
            given.append(host.ipam.request_address(subnet, "", mac(next(NUMBERS))))
        except Refused:
            break
    return given


def test_two_hosts_share_a_subnet_and_use_all_of_it(hosts):
    one, other = hosts[:2]
    for host in (one, other):
        assert host.ipam.request_pool(SUBNET, "", v6=False).uid == SUBNET
        assert host.ipam.request_address(SUBNET, "", GATEWAY) == "10.1.0.1/24"
    given = [*fill(one, SUBNET, 60), *fill(other, SUBNET), *fill(one, SUBNET)]
    assert len(set(given)) == len(given) == 253
    with pytest.raises(Refused, match="no more of it leased"):
        one.ipam.request_address(SUBNET, "", mac(999))


def test_a_call_asks_nobody_while_something_is_leased(hosts):
    host = hosts[0]
    host.ipam.request_pool(SUBNET, "", v6=False)
    calls = host._wire.calls
    host._wire.fate = lambda: "away"
    given = {host.ipam.request_address(SUBNET, "", mac(n)) for n in range(46)}
    assert len(given) == 46
    with pytest.raises(Refused, match="no more of it leased"):
        host.ipam.request_address(SUBNET, "", mac(99))
    assert host._wire.calls == calls


def test_v6_hosts_have_shares_of_their_own_and_low_addresses_are_given_by_hand(hosts):
    given = []
    for host in hosts[:2]:
        host.ipam.request_pool("fd00:1::/64", "", v6=True)
        assert host.ipam.request_address("fd00:1::/64", "", GATEWAY) == "fd00:1::1/64"
        given.append(host.ipam.request_address("fd00:1::/64", "", mac(1)))
    assert given == ["fd00:1:0:0:1::/64", "fd00:1:0:0:2::/64"]
    assert hosts[1].ipam.request_address("fd00:1::/64", "fd00:1::99", mac(2)) == "fd00:1::99/64"


@pytest.mark.parametrize("refuse", [True, False])
def test_an_address_by_hand_is_claimed_or_refused_with_words(hosts, clock, refuse):
    one, other = hosts[:2]
    one.leases._refuse = other.leases._refuse = refuse
    for host in (one, other):
        host.ipam.request_pool(SUBNET, "", v6=False)
    assert one.ipam.request_address(SUBNET, "10.1.0.200", mac(1)) == "10.1.0.200/24"
    for taken in ("10.1.0.200", one.ipam.request_address(SUBNET, "", mac(2)).partition("/")[0]):
        with pytest.raises(Refused, match=f"{taken} is leased to another host, {one.state.instance}"):
            other.ipam.request_address(SUBNET, taken, mac(3))
    one.ipam.release_address(SUBNET, "10.1.0.200")
    clock.now += 61  # a container that only restarts keeps it
    one.leases.look()
    assert other.ipam.request_address(SUBNET, "10.1.0.200", mac(3)) == "10.1.0.200/24"
    other._wire.fate = lambda: "away"
    with pytest.raises(Refused, match=r"10\.1\.0\.201 is not among the addresses leased to this host"):
        other.ipam.request_address(SUBNET, "10.1.0.201", mac(4))


def test_blocks_come_back_with_the_network_and_rest(hosts, clock):
    one, other = hosts[:2]
    one.ipam.request_pool("10.1.0.0/28", "", v6=False)
    given = fill(one, "10.1.0.0/28")
    other.ipam.request_pool("10.1.0.0/28", "", v6=False)
    assert fill(other, "10.1.0.0/28") == []
    for address in given:
        one.ipam.release_address("10.1.0.0/28", address)
    one.ipam.release_pool("10.1.0.0/28")
    one.leases.look()
    clock.now += 599
    assert fill(other, "10.1.0.0/28") == []
    clock.now += 2
    assert len(fill(other, "10.1.0.0/28")) == 13


def test_without_a_controller_it_is_as_configured(tmp_path, server, clock):
    wire = Wire(server, lambda: "away")
    strict, free = Host(tmp_path / "s", wire, clock), Host(tmp_path / "f", wire, clock, refuse=False)
    try:
        for host in (strict, free):
            host.ipam.request_pool(SUBNET, "", v6=False)
        with pytest.raises(Refused, match=r"leased to this host yet .*the controller is away"):
            strict.ipam.request_address(SUBNET, "", mac(1))
        assert free.ipam.request_address(SUBNET, "", mac(1)) == "10.1.0.1/24"
        wire.fate = lambda: "well"
        look(free)  # what it chose meanwhile is claimed, and it goes on from the book
        look(strict)
        assert strict.ipam.request_address(SUBNET, "", mac(1)) != "10.1.0.1/24"
        assert server.book.book()[free.state.instance].blocks
    finally:
        strict.state.close()
        free.state.close()


def test_a_book_that_was_lost_is_made_good_by_those_who_remember(tmp_path, hosts, server, clock):
    one, other = hosts[:2]
    one.ipam.request_pool(SUBNET, "", v6=False)
    given = {one.ipam.request_address(SUBNET, "", mac(n)) for n in range(20)}
    (tmp_path / "new").mkdir()
    fresh = Server(tmp_path / "new", clock, falcon.testing.TestClient)
    one._wire.server = other._wire.server = fresh
    one.restart()
    one.leases.look()
    other.ipam.request_pool(SUBNET, "", v6=False)
    assert not given & set(fill(other, SUBNET))
    fresh.store.close()


def test_an_older_drivers_file_is_read_and_its_addresses_are_claimed(tmp_path, server, clock):
    state = State(tmp_path / "old")
    local = Ipam(state, [], 600, clock)
    local.request_pool(SUBNET, "", v6=False)
    held = {local.request_address(SUBNET, "", mac(n)) for n in range(40)}
    state.close()
    with sqlite3.connect(tmp_path / "old" / "docker.db") as db:
        db.executescript("DROP TABLE leases; DROP TABLE leased; DROP TABLE turns; PRAGMA user_version = 2;")
    db.close()
    old, new = Host(tmp_path / "old", Wire(server), clock), Host(tmp_path / "new", Wire(server), clock)
    old.leases.look()
    new.ipam.request_pool(SUBNET, "", v6=False)
    given = [*fill(new, SUBNET, 30), *fill(old, SUBNET, 10)]
    assert len(set(given)) == 40
    assert not held & set(given)
    old.state.close()
    new.state.close()


@pytest.mark.parametrize(
    "body",
    [{}, {"turn": "x", "blocks": [], "claims": []}, {"turn": 1, "blocks": ["10.0.0.1/24"], "claims": []},
     {"turn": 1, "blocks": None, "claims": []}, {"turn": 1, "blocks": [], "claims": [], "refused": [{}]}],
)  # fmt: skip
def test_an_answer_that_is_none_is_not_believed(body):
    with pytest.raises(Unreachable):
        read_answer(body)


def test_a_controller_that_never_answers_delays_a_call_by_a_bounded_time(tmp_path):
    release = threading.Event()

    class Hung:
        def lease(self, holder, wish):
            release.wait(20)
            raise Unreachable(f"no answer to {holder}: {len(wish)}")

    state = State(tmp_path)
    leases = Leases(state, Hung(), refuse=True)
    ipam = Ipam(state, [], 600)
    ipam.lessor = leases
    thread = threading.Thread(target=leases.run, daemon=True)
    thread.start()
    try:
        began = time.monotonic()
        ipam.request_pool(SUBNET, "", v6=False)
        for _ in range(3):  # only the first waits
            with pytest.raises(Refused, match="no answer in"):
                ipam.request_address(SUBNET, "", mac(1))
        assert time.monotonic() - began < 3.5 * WAIT_S, "only one of four waited"
    finally:
        release.set()
        leases.stop()
        thread.join(30)
        state.close()


FATES = ("well",) * 6 + ("away", "deaf", "late")


class History:
    """Random acts of three hosts on one subnet; `held` is the truth that no host knows."""

    def __init__(self, seed, hosts, server, clock):
        self.rng, self.hosts, self.server, self.clock = random.Random(seed), hosts, server, clock
        self.held, self.released, self.most = {}, {}, 0
        for host in hosts:
            host._wire.fate = lambda: self.rng.choice(FATES)

    def step(self, number):
        self.clock.now += self.rng.random() * 40
        host = self.rng.choice(self.hosts)
        act = self.rng.choices(
            (self.create, self.static, self.release, self.look, self.crash, self.late, self.leave, self.restart),
            (40, 6, 14, 10, 4, 6, 1, 2),
        )[0]
        act(host, number)

    def take(self, host, given, number):
        address = given.partition("/")[0]
        holders = [h for h, mine in self.held.items() if address in mine.values()]
        assert holders == [], f"{address} twice"
        self.held.setdefault(host, {})[mac(number)] = address
        self.most = max(self.most, sum(map(len, self.held.values())))
        return address

    def create(self, host, number):
        try:
            given = host.ipam.request_address(SUBNET, "", mac(number))
        except Refused:
            return
        address = self.take(host, given, number)
        assert self.clock.now - self.released.get(address, -1e9) >= 300, f"{address} had no rest"

    def static(self, host, number):
        address = f"10.1.0.{self.rng.randrange(2, 255)}"
        try:
            given = host.ipam.request_address(SUBNET, address, mac(number))
        except Refused:
            return
        self.take(host, given, number)

    def release(self, host, number):
        del number
        mine = self.held.get(host, {})
        for _ in range(min(len(mine), self.rng.randrange(4))):
            address = mine.pop(self.rng.choice(list(mine)))
            host.ipam.release_address(SUBNET, address)
            self.released[address] = self.clock.now

    def look(self, host, number):
        del number
        host.leases._settled = ()
        host.leases.look()

    def crash(self, host, number):
        del number
        host.restart()

    def late(self, host, number):
        del number
        host._wire.deliver_late()

    def leave(self, host, number):
        del number
        for address in self.held.pop(host, {}).values():
            host.ipam.release_address(SUBNET, address)
            self.released[address] = self.clock.now
        host.ipam.release_pool(SUBNET)

    def restart(self, host, number):
        del host, number
        self.server.restart()


@pytest.mark.parametrize("seed", range(12))
def test_no_history_gives_an_address_twice(seed, tmp_path, server, clock):
    hosts = [Host(tmp_path / name, Wire(server), clock, rest_s=300) for name in "abc"]
    history = History(seed, hosts, server, clock)
    for number in range(400):
        history.step(number)
    assert history.most > 20
    for host in hosts:
        host.state.close()


def test_what_arrives_late_takes_nothing_away(hosts):
    one, other = hosts[:2]
    one.ipam.request_pool(SUBNET, "", v6=False)
    one._wire.fate, one.leases._settled = (lambda: "late"), ()
    assert not one.leases.look()
    one._wire.fate = lambda: "well"
    one.ipam.request_address(SUBNET, "10.1.0.200", mac(1))
    one._wire.deliver_late()
    with pytest.raises(Refused, match="another host"):
        other.ipam.request_address(SUBNET, "10.1.0.200", mac(2))


def test_what_is_given_back_is_forgotten_before_the_answer(hosts, clock):
    one, other = hosts[:2]
    one.ipam.request_pool(SUBNET, "", v6=False)
    one.ipam.request_address(SUBNET, "10.1.0.200", mac(1))
    one.ipam.release_address(SUBNET, "10.1.0.200")
    clock.now += 61
    one._wire.fate = lambda: "deaf"
    assert not one.leases.look()
    other.ipam.request_address(SUBNET, "10.1.0.200", mac(2))
    one._wire.fate = lambda: "away"
    with pytest.raises(Refused, match="not among"):
        one.ipam.request_address(SUBNET, "10.1.0.200", mac(3))

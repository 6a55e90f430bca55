"""Addresses: unique, at rest after release, the same again for a call that is repeated."""

import random
import threading
from ipaddress import ip_interface, ip_network

import pytest

from docker_driver.errors import Refused
from docker_driver.hostlink import routed
from docker_driver.ipam import GATEWAY, NOBODY, Ipam
from docker_driver.state import Endpoint, State

POOL = "10.1.0.0/28"


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def state(tmp_path):
    state = State(tmp_path)
    yield state
    state.close()


@pytest.fixture
def ipam(state, clock):
    return Ipam(state, ["172.29.0.0/22", "fd00::/62"], 600, clock)


def mac(number):
    return f"02:42:00:00:{number >> 8:02x}:{number & 255:02x}"


def test_a_pool_given_twice_is_one_pool(ipam):
    assert ipam.request_pool(POOL, "", v6=False) == ipam.request_pool(POOL, "", v6=False)


def test_pools_are_chosen_apart_from_each_other(ipam):
    chosen = [str(ipam.request_pool("", "", v6=False).subnet) for _ in range(4)]
    assert chosen == [f"172.29.{n}.0/24" for n in range(4)]
    with pytest.raises(Refused, match="no subnet is free"):
        ipam.request_pool("", "", v6=False)
    assert str(ipam.request_pool("", "", v6=True).subnet) == "fd00::/64"


def test_a_pool_whose_answer_was_lost_is_given_again_later(ipam, clock):
    for _ in range(4):
        ipam.request_pool("", "", v6=False)
    clock.now += 3601
    assert str(ipam.request_pool("", "", v6=False).subnet) == "172.29.0.0/24"


@pytest.mark.parametrize(
    ("subnet", "part", "v6"),
    [
        ("nonsense", "", False),
        ("10.1.0.1/24", "", False),
        ("", "10.1.0.0/25", False),
        ("10.1.0.0/24", "10.2.0.0/25", False),
        ("10.1.0.0/24", "fd00::/64", False),
        ("10.1.0.0/24", "", True),
        ("10.9.0.0/16", "", False),
    ],
)
def test_a_pool_that_cannot_be_is_refused(ipam, subnet, part, v6):
    ipam.request_pool("10.9.8.0/24", "", v6=False)
    with pytest.raises(Refused):
        ipam.request_pool(subnet, part, v6=v6)


def test_a_pool_goes_when_nobody_holds_an_address_of_it(ipam):
    ipam.request_pool("10.9.8.0/24", "", v6=False)
    given = ipam.request_address("10.9.8.0/24", "", mac(1))
    ipam.release_pool("10.9.8.0/24")
    with pytest.raises(Refused, match="overlaps"):
        ipam.request_pool("10.9.0.0/16", "", v6=False)
    ipam.release_address("10.9.8.0/24", given)
    ipam.release_pool("10.9.8.0/24")
    assert ipam.request_pool("10.9.0.0/16", "", v6=False)


def test_addresses_are_unique_and_inside(ipam):
    given = [ipam.request_address(POOL, "", mac(n)) for n in range(14)]
    assert len(set(given)) == 14
    assert all(ip_interface(a).ip in ip_network(POOL).hosts() for a in given)
    with pytest.raises(Refused, match="no address"):
        ipam.request_address(POOL, "", mac(99))


def test_a_repeated_call_gets_the_same_address(ipam):
    assert ipam.request_address(POOL, "", mac(1)) == ipam.request_address(POOL, "", mac(1))
    assert ipam.request_address(POOL, "10.1.0.9", mac(2)) == ipam.request_address(POOL, "10.1.0.9", mac(2))


def test_dockerd_may_reserve_again_what_it_knows(ipam):
    """After its restart it asks for the addresses of running containers without saying whose they are."""
    first, gateway = ipam.request_address(POOL, "", mac(1)), ipam.request_address(POOL, "", GATEWAY)
    assert ipam.request_address(POOL, first.partition("/")[0], NOBODY) == first
    assert ipam.request_address(POOL, gateway.partition("/")[0], GATEWAY) == gateway
    assert ipam.request_address(POOL, "", mac(2)) not in {first, gateway}


def test_a_static_address_in_use_is_refused(ipam):
    ipam.request_address(POOL, "10.1.0.9", mac(1))
    with pytest.raises(Refused, match="in use"):
        ipam.request_address(POOL, "10.1.0.9", mac(2))
    ipam.release_address(POOL, "10.1.0.9")
    assert ipam.request_address(POOL, "10.1.0.9", mac(2)) == "10.1.0.9/28"


def test_a_second_container_with_the_same_mac_does_not_share_the_address(ipam, state):
    """Else Docker would release it for both when the second one fails."""
    given = ipam.request_address(POOL, "", mac(1))
    state.put_endpoint(Endpoint("e" * 64, "n" * 64, mac(1), (given,)))
    for address in ("", given.partition("/")[0]):
        with pytest.raises(Refused, match="in use"):
            ipam.request_address(POOL, address, mac(1))
    assert ipam.held() == [(POOL, given.partition("/")[0], mac(1))]


def test_what_dockerd_reserves_again_keeps_its_holder(ipam, state):
    given = ipam.request_address(POOL, "10.1.0.9", mac(1))
    state.put_endpoint(Endpoint("e" * 64, "n" * 64, mac(1), (given,)))
    ipam.request_address(POOL, "10.1.0.9", NOBODY)
    assert ipam.held() == [(POOL, "10.1.0.9", mac(1))]
    with pytest.raises(Refused, match="in use"):
        ipam.request_address(POOL, "10.1.0.9", mac(2))


@pytest.mark.parametrize("address", ["10.1.0.0", "10.1.0.15", "10.2.0.1", "fd00::1", "x", "999.1.1.1", "10.1.0.1'"])
def test_an_address_that_is_no_hosts_is_refused(ipam, address):
    with pytest.raises(Refused):
        ipam.request_address(POOL, address, mac(1))


def test_a_released_address_rests(ipam, clock):
    given = [ipam.request_address(POOL, "", mac(n)) for n in range(14)]
    ipam.release_address(POOL, given[3])
    with pytest.raises(Refused, match="rest"):
        ipam.request_address(POOL, "", mac(99))
    clock.now += 599
    with pytest.raises(Refused):
        ipam.request_address(POOL, "", mac(99))
    clock.now += 2
    assert ipam.request_address(POOL, "", mac(99)) == given[3]


def test_rest_outlives_the_driver(tmp_path, clock):
    state = State(tmp_path)
    ipam = Ipam(state, [], 600, clock)
    given = {ipam.request_address("10.1.0.0/30", "", mac(n)) for n in range(2)}
    ipam.release_address("10.1.0.0/30", min(given))
    state.close()
    again = State(tmp_path)
    with pytest.raises(Refused):
        Ipam(again, [], 600, clock).request_address("10.1.0.0/30", "", mac(9))
    again.close()


def test_a_part_of_a_pool_bounds_what_is_chosen(ipam):
    pool = ipam.request_pool("10.1.0.0/24", "10.1.0.128/30", v6=False).uid
    given = {ipam.request_address(pool, "", mac(n)) for n in range(4)}
    assert given == {f"10.1.0.{n}/24" for n in range(128, 132)}
    assert ipam.request_address(pool, "10.1.0.7", mac(9)) == "10.1.0.7/24"


def test_ipv6(ipam):
    pool = ipam.request_pool("fd00:1::/64", "", v6=True).uid
    assert [ipam.request_address(pool, "", mac(n)) for n in range(2)] == ["fd00:1::1/64", "fd00:1::2/64"]


@pytest.mark.parametrize("seed", range(20))
def test_no_sequence_of_calls_gives_an_address_twice(state, clock, seed):
    rng = random.Random(seed)
    ipam, held = Ipam(state, [], 50, clock), {}
    released_at = {}
    for step in range(300):
        clock.now += rng.random() * 5
        if held and rng.random() < 0.5:
            owner = rng.choice(list(held))
            address = held.pop(owner)
            ipam.release_address(POOL, address)
            released_at[address] = clock.now
            continue
        try:
            given = ipam.request_address(POOL, "", mac(step))
        except Refused:
            continue
        assert given not in held.values()
        assert clock.now - released_at.get(given, -1000) >= 50
        held[mac(step)] = given


def test_many_at_once(ipam):
    given = []
    threads = [
        threading.Thread(target=lambda n=n: given.append(ipam.request_address("10.5.0.0/24", "", mac(n))))
        for n in range(60)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(set(given)) == 60


def test_no_subnet_is_chosen_that_the_host_has_a_route_to(state, tmp_path):
    """As /proc/net has them: 172.29.0.0/24 (and a default route) by eth0, fd52:696e:6700::/64 by eth0."""
    (tmp_path / "route").write_text(
        "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
        "eth0 00000000 0102A8C0 0003 0 0 0 00000000 0 0 0\n"
        "eth0 00001DAC 00000000 0001 0 0 0 00FFFFFF 0 0 0\n"
    )
    rest = "00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001"
    (tmp_path / "ipv6_route").write_text(
        f"fd52696e670000000000000000000000 40 {rest} eth0\n00000000000000000000000000000000 00 {rest} eth0\n"
    )
    ipam = Ipam(state, ["172.29.0.0/16", "fd52:696e:6700::/48"], 600, elsewhere=lambda: routed(tmp_path))
    assert str(ipam.request_pool("", "", v6=False).subnet) == "172.29.1.0/24"
    assert str(ipam.request_pool("", "", v6=True).subnet) == "fd52:696e:6700:1::/64"

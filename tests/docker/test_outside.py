"""The way out and in, without a switch: documents, firewall, routes, and what becomes of them as things come and go."""

import dataclasses
import json
import subprocess

import pytest

from docker_driver import firewall, hostlink, links
from docker_driver.config import Outside
from docker_driver.errors import Refused, Unreachable
from docker_driver.outside import Gate
from docker_driver.state import Endpoint, Network, Published, State
from docker_driver.wishes import is_ours, published_tag, router_mac, wishes
from intent.schema import parse_documents, to_intents
from tests.docker.plugger_kit import uid
from tests.docker.test_calls import own_netns  # noqa: F401 - a fixture

SETTINGS = Outside()
SHOP = Network(uid(7), "shop", ("10.1.0.0/24", "fd00:1::/64"), 1400, ("10.1.0.1", "fd00:1::1"))
INNER = Network(uid(8), "inner", ("10.2.0.0/24",))
WEB = Endpoint(
    uid(2 << 240), SHOP.uid, "02:42:00:00:00:02", ("10.1.0.2/24", "fd00:1::2/64"),
    joined=True, published=(Published("tcp", "", 8080, 80), Published("udp", "192.0.2.1", 53, 53)),
)  # fmt: skip


def wished(networks=(SHOP, INNER), endpoints=(WEB,)):
    return wishes(networks, endpoints, SETTINGS, "abcd0123")


def test_the_documents_are_what_the_controller_reads():
    text = json.dumps({"kind": "Network", "name": "shop", "subnets": SHOP.subnets, "gateways": SHOP.gateways})
    stream = "\n".join(f"---\n{t}" for t in (text, *map(json.dumps, wished().documents)))
    intents = to_intents(parse_documents(stream.encode(), source="x", max_bytes=1 << 20, breathe=lambda: None))
    assert intents.routers["docker-shop"].mac == router_mac("shop")
    assert intents.uplinks["docker"].next_hop == hostlink.HOST_MAC
    (policy,) = intents.policies.values()
    assert (policy.tier, policy.owner) == ("baseline", "docker-driver")
    assert published_tag(WEB) in policy.name


def test_what_is_ours_is_told_from_what_others_wrote():
    documents = {d["kind"]: d for d in wished().documents}
    assert all(is_ours(d, SETTINGS, "abcd0123") for d in documents.values())
    others = (
        documents["Policy"] | {"owner": "security"},
        documents["Router"] | {"networks": ["shop", "lab"]},
        documents["Router"] | {"mac": "02:00:00:00:00:01"},
        documents["Uplink"] | {"nextHop": "02:00:00:00:00:01"},
        {"kind": "Network", "name": "shop"},
    )
    assert not any(is_ours(d, SETTINGS, "abcd0123") for d in others)
    assert not is_ours(documents["Policy"], SETTINGS, "ffff0123")


def test_internal_networks_and_endpoints_that_left_want_nothing():
    assert wished(networks=(INNER,)).documents == ()
    left = wished(endpoints=(dataclasses.replace(WEB, joined=False),))
    assert left.targets == ()
    assert {d["kind"] for d in left.documents} == {"Uplink", "Router"}


def test_one_name_for_two_docker_networks_has_one_way_out():
    other = Network(uid(9), "shop", ("10.9.0.0/24",), 1500, ("10.9.0.1",))
    assert {way.subnet for way in wished(networks=(SHOP, other)).ways} == set(SHOP.subnets)


def test_the_firewall_keeps_the_clients_address_and_lets_in_only_what_is_published():
    text = firewall.script("rfdocker", SHOP.subnets, wished().targets)
    assert "fib daddr type local meta nfproto ipv4 tcp dport 8080 dnat ip to 10.1.0.2:80" in text
    assert "fib daddr type local meta nfproto ipv6 tcp dport 8080 dnat ip6 to [fd00:1::2]:80" in text
    assert "ip daddr 192.0.2.1 meta nfproto ipv4 udp dport 53 dnat ip to 10.1.0.2:53" in text
    assert text.count("masquerade") == 3
    assert 'oifname "rfdocker" drop' in text


def test_what_is_published_at_the_loopback_is_not_for_neighbours():
    target = firewall.Target(Published("tcp", "127.0.0.1", 8080, 80), "10.1.0.2")
    text = firewall.script("rfdocker", SHOP.subnets, [target])
    assert "127.0.0.1" not in text[text.index("chain prerouting") : text.index("chain output")]
    assert "ip daddr 127.0.0.1 " in text[text.index("chain output") :]


class FakeController:
    def __init__(self):
        self.table, self.stored, self.refuse, self.away, self.writes = {}, {}, set(), False, 0

    def put_port(self, name, ids):
        self._check()
        self.table[name] = ids

    def delete_port(self, name):
        self._check()
        self.table.pop(name, None)

    def documents(self, plural):
        self._check()
        kind = {"policies": "Policy", "routers": "Router", "uplinks": "Uplink"}[plural]
        return [d for d in self.stored.values() if d["kind"] == kind]

    def document(self, plural, name):
        self._check()
        return self.stored.get(("Network", name))

    def apply(self, documents):
        self._check()
        if bad := [d["name"] for d in documents if d["name"] in self.refuse]:
            raise Refused(f"{bad[0]} is bad")
        self.writes += 1
        self.stored |= {(d["kind"], d["name"]): d for d in documents}

    def delete(self, keys):
        self._check()
        for key in keys:
            self.stored.pop(key, None)

    def _check(self):
        if self.away:
            raise Unreachable("the controller is away")


@pytest.fixture
def controller():
    return FakeController()


@pytest.fixture
def state(tmp_path):
    state = State(tmp_path)
    state.put_network(SHOP)
    state.put_network(INNER)
    state.put_endpoint(WEB)
    yield state
    state.close()


@pytest.fixture
def gate(state, controller, own_netns):  # noqa: F811 - the fixture
    why = firewall.missing()
    if why:
        pytest.skip(why)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    return Gate(state, controller, SETTINGS)


def table():
    command = ["nft", "list", "table", "inet", "ringfence_docker"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def routes(family="-4"):
    shown = subprocess.run(["ip", "-j", family, "route"], capture_output=True, text=True, check=True).stdout
    return {route["dst"] for route in json.loads(shown or "[]") if route.get("dev") == "rfdocker"}


def test_it_is_made_kept_and_collected(gate, state, controller):
    state.drop("networks", SHOP.uid)
    assert gate.look()
    assert (controller.table, controller.stored) == ({}, {})
    state.put_network(SHOP)
    assert gate.look()
    assert {"rfdocker", "rfdocker-sw"} <= links.names()
    assert routes() == {"10.1.0.0/24"}
    assert "fd00:1::/64" in routes("-6")
    assert "dport 8080 dnat ip to 10.1.0.2:80" in table()
    assert controller.table == {"rfdocker-sw": {"docker-uplink": "host", "iface-id": "docker.uplink"}}
    kinds = sorted(kind for kind, _ in controller.stored)
    assert kinds == ["Network", "Policy", "Router", "Uplink"]
    assert controller.stored["Network", "shop"]["gateways"] == ["10.1.0.1", "fd00:1::1"]
    writes = controller.writes
    assert gate.look()
    assert controller.writes == writes
    state.drop("endpoints", WEB.uid)
    assert gate.look()
    assert "dport 8080" not in table()
    assert sorted(kind for kind, _ in controller.stored) == ["Network", "Router", "Uplink"]
    state.drop("networks", SHOP.uid)
    assert gate.look()
    assert not {"rfdocker", "rfdocker-sw"} & links.names()
    assert table() == ""
    assert set(controller.stored) == {("Network", "shop")}
    assert controller.table == {}


def test_a_new_driver_takes_over_and_removes_what_is_over(gate, state, controller):
    gate.look()
    state.drop("endpoints", WEB.uid)
    assert Gate(state, controller, SETTINGS).look()
    assert "Policy" not in {kind for kind, _ in controller.stored}
    assert "dport 8080" not in table()


def test_whoever_breaks_it_it_is_made_again(gate):
    gate.look()
    subprocess.run(["ip", "route", "del", "10.1.0.0/24"], check=True)
    subprocess.run(["nft", "delete", "table", "inet", "ringfence_docker"], check=True)
    gate.forget(documents=False)
    assert gate.look()
    assert routes() == {"10.1.0.0/24"}
    assert table()


def test_with_the_controller_away_the_kernel_is_ready_and_the_rest_follows(gate, controller):
    controller.away = True
    assert not gate.look()
    assert routes() == {"10.1.0.0/24"}
    controller.away = False
    assert gate.look()
    assert ("Uplink", "docker") in controller.stored


def test_a_subnet_of_the_hosts_own_network_is_not_taken_from_it(gate, state, caplog):
    subprocess.run(["ip", "link", "add", "lan0", "type", "veth", "peer", "lan1"], check=True)
    subprocess.run(["ip", "link", "set", "lan0", "up"], check=True)
    subprocess.run(["ip", "route", "add", "10.0.0.0/8", "dev", "lan0"], check=True)
    gate.look()
    assert routes() == set()
    assert "choose another --subnet" in caplog.text


def test_an_interface_of_that_name_that_is_not_ours_is_left_alone(gate, caplog):
    subprocess.run(["ip", "link", "add", "rfdocker", "type", "veth", "peer", "other"], check=True)
    assert not gate.look()
    assert "outside.interface" in caplog.text
    assert "rfdocker-sw" not in links.names()


def test_one_document_that_is_refused_does_not_hold_up_the_others(gate, controller):
    controller.refuse = {"docker-shop"}
    assert not gate.look()
    assert {kind for kind, _ in controller.stored} == {"Network", "Uplink", "Policy"}
    controller.refuse = set()
    assert gate.look()
    assert ("Router", "docker-shop") in controller.stored


def test_a_network_that_somebody_declared_gets_its_gateways_and_keeps_the_rest(gate, controller):
    controller.stored["Network", "shop"] = {
        "kind": "Network",
        "name": "shop",
        "posture": "allow",
        "subnets": ["10.1.0.0/24"],
    }
    assert gate.look()
    assert controller.stored["Network", "shop"]["posture"] == "allow"
    assert controller.stored["Network", "shop"]["gateways"] == ["10.1.0.1", "fd00:1::1"]

"""The plugin socket as dockerd uses it: real interfaces, repeated calls, and bodies nobody should send."""

import contextlib
import http.client
import json
import os
import random
import socket
import stat
import subprocess
import threading

import pytest

from docker_driver import links
from docker_driver.calls import table
from docker_driver.ipam import Ipam
from docker_driver.network import Driver, inner_name, outer_name
from docker_driver.publishing import HostPorts
from docker_driver.server import MAX_BODY, PluginServer
from docker_driver.state import Published, State
from tests.docker.plugger_kit import uid

NET = uid(7)


class Dockerd:
    """The other side of the socket."""

    def __init__(self, path):
        self.path = path

    def raw(self, data):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(60)
            sock.connect(str(self.path))
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            return sock.makefile("rb").read()

    def send(self, path, data):
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        return json.loads(self.raw(head + data).partition(b"\r\n\r\n")[2])

    def ask(self, call, **body):
        return self.send(f"/{call}", json.dumps(body).encode())


class Plugin:
    def __init__(self, directory, shut=""):
        self.state = State(directory / "state")
        self.changes, self.trouble = [], ""
        self.driver = Driver(self.state, lambda: self.changes.append(1), lambda: self.trouble, shut, HostPorts())
        self.ipam = Ipam(self.state, ["172.29.0.0/16"], 600)
        self.server = PluginServer(directory / "plugins" / "r.sock", table(self.driver, self.ipam))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.dockerd = Dockerd(directory / "plugins" / "r.sock")

    def close(self):
        self.server.close()
        self.state.close()


@pytest.fixture
def plugin(tmp_path):
    plugin = Plugin(tmp_path)
    yield plugin
    plugin.close()


@pytest.fixture
def network(plugin):
    answer = plugin.dockerd.ask(
        "NetworkDriver.CreateNetwork",
        NetworkID=NET,
        IPv4Data=[{"AddressSpace": "x", "Pool": "10.1.0.0/24", "Gateway": "10.1.0.1/24"}],
        IPv6Data=[{"Pool": "fd00::/64"}],
        Options={"com.docker.network.generic": {"mtu": "1400"}, "com.docker.network.enable_ipv6": True},
    )
    assert answer == {}
    return plugin


def create(plugin, number, **more):
    interface = {"Address": f"10.1.0.{number}/24", "MacAddress": f"02:42:00:00:00:{number:02x}"}
    options = {"com.docker.network.endpoint.exposedports": [{"Proto": 6, "Port": 80}], "com.docker.network.portmap": []}
    body = {"NetworkID": NET, "EndpointID": uid(number << 240), "Interface": interface, "Options": options} | more
    return plugin.dockerd.ask("NetworkDriver.CreateEndpoint", **body)


def call(plugin, name, number, **more):
    return plugin.dockerd.ask(f"NetworkDriver.{name}", NetworkID=NET, EndpointID=uid(number << 240), **more)


def test_it_says_what_it_is(plugin):
    assert plugin.dockerd.ask("Plugin.Activate") == {"Implements": ["NetworkDriver", "IpamDriver"]}
    assert plugin.dockerd.ask("NetworkDriver.GetCapabilities")["Scope"] == "local"
    assert plugin.dockerd.ask("IpamDriver.GetCapabilities") == {"RequiresMACAddress": True}
    assert stat.S_IMODE(plugin.dockerd.path.stat().st_mode) == 0o600


def test_addresses_over_the_socket(plugin):
    pool = plugin.dockerd.ask("IpamDriver.RequestPool", AddressSpace="ringfence", Pool="", V6=False)
    assert pool == {"PoolID": "172.29.0.0/24", "Pool": "172.29.0.0/24", "Data": {}}
    gateway = {"RequestAddressType": "com.docker.network.gateway"}
    given = plugin.dockerd.ask("IpamDriver.RequestAddress", PoolID=pool["PoolID"], Address="", Options=gateway)
    assert given == {"Address": "172.29.0.1/24"}
    mac = {"com.docker.network.endpoint.macaddress": "02:42:00:00:00:01"}
    given = plugin.dockerd.ask("IpamDriver.RequestAddress", PoolID=pool["PoolID"], Address="", Options=mac)
    assert given == {"Address": "172.29.0.2/24"}
    for address in ("172.29.0.2", "172.29.0.1", "172.29.0.77"):
        assert plugin.dockerd.ask("IpamDriver.ReleaseAddress", PoolID=pool["PoolID"], Address=address) == {}
    assert plugin.dockerd.ask("IpamDriver.ReleasePool", PoolID=pool["PoolID"]) == {}


@pytest.fixture
def own_netns(real_parts):
    """This process in a network namespace of its own for the length of a test."""
    back = os.open("/proc/self/ns/net", os.O_RDONLY)
    libc = __import__("ctypes").CDLL(None, use_errno=True)
    assert libc.unshare(0x40000000) == 0
    yield
    assert libc.setns(back, 0x40000000) == 0
    os.close(back)


@pytest.fixture
def joined(own_netns, network):
    assert create(network, 2) == {"Interface": {}}
    # The server's threads came from the main thread after it had entered the namespace, so they are inside too.
    answer = call(network, "Join", 2, SandboxKey="/var/run/docker/netns/x", Options={})
    assert answer == {
        "InterfaceName": {"SrcName": inner_name(uid(2 << 240)), "DstPrefix": "eth"},
        "StaticRoutes": [],
        "Gateway": "10.1.0.1",
        "DisableGatewayService": True,
    }
    return network


def test_join_makes_the_pair_and_delete_removes_it(joined):
    outer, inner = outer_name(uid(2 << 240)), inner_name(uid(2 << 240))
    assert {outer, inner} <= links.names()
    shown = subprocess.run(["ip", "link", "show", inner], capture_output=True, text=True, check=True).stdout
    assert "mtu 1400" in shown
    assert "02:42:00:00:00:02" in shown
    offloads = subprocess.run(["ethtool", "-k", inner], capture_output=True, text=True, check=True).stdout
    assert "tx-checksumming: off" in offloads
    assert "rx-checksumming: off" in offloads
    assert call(joined, "EndpointOperInfo", 2)["Value"]["ringfence.joined"] == "true"
    assert call(joined, "Leave", 2) == {}
    assert call(joined, "DeleteEndpoint", 2) == {}
    assert not {outer, inner} & links.names()
    assert joined.state.endpoints() == {}


def test_every_call_may_be_repeated(joined):
    assert create(joined, 2) == {"Interface": {}}
    for name in ("Join", "Join", "Leave", "Leave", "DeleteEndpoint", "DeleteEndpoint"):
        assert "Err" not in call(joined, name, 2), name
    for _ in range(2):
        assert joined.dockerd.ask("NetworkDriver.DeleteNetwork", NetworkID=NET) == {}


def test_a_join_that_fails_leaves_nothing(own_netns, network, monkeypatch):
    create(network, 2)
    monkeypatch.setattr(network.state, "put_endpoint", lambda _: 1 / 0)
    assert "fault" in call(network, "Join", 2, SandboxKey="x", Options={})["Err"]
    assert not network.state.endpoint(uid(2 << 240)).joined
    assert outer_name(uid(2 << 240)) not in links.names()


def test_the_host_itself_does_not_listen_at_the_outer_end(joined):
    outer = outer_name(uid(2 << 240))
    for family, key, value in links.CONSTRAINTS:
        assert (links._NET / family / "conf" / outer / key).read_text().strip() == value


def test_a_mac_follows_from_the_address_where_none_is_given(network):
    assert create(network, 2, Interface={"Address": "10.1.0.2/24"}) == {
        "Interface": {"MacAddress": "02:42:0a:01:00:02"}
    }


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"NetworkID": uid(99)}, "does not know this network"),
        ({"NetworkID": "../../etc"}, "64 hex digits"),
        ({"EndpointID": "x"}, "64 hex digits"),
        ({"EndpointID": None}, "64 hex digits"),
        ({"Interface": {"Address": "10.1.0.300/24"}}, "no address"),
        ({"Interface": {"Address": "10.1.0.2/24", "MacAddress": "01:00:5e:00:00:01"}}, "no MAC"),
        ({"Interface": {"Address": "10.1.0.2/24", "MacAddress": "x" * 9000}}, "MacAddress"),
        ({"Interface": {}}, "neither a MAC nor an address"),
        ({"Interface": []}, "Interface is no object"),
        ({"Options": {"com.docker.network.portmap": [{"Proto": 6, "Port": 0}]}}, "port 0"),
        ({"Options": {"com.docker.network.portmap": [{"Proto": 1, "Port": 80}]}}, "use tcp, udp or sctp"),
        ({"Options": {"com.docker.network.portmap": [{"Proto": 6, "Port": 80, "HostIP": "::1"}]}}, "127.0.0.1"),
        ({"Options": {"com.docker.network.portmap": [{"Proto": 6, "Port": 80, "HostIP": "x"}]}}, "no address"),
        ({"Options": {"com.docker.network.endpoint.exposedports": [{"Proto": 6, "Port": 99999}]}}, "Port"),
        ({"Options": {"com.docker.network.endpoint.exposedports": [1]}}, "exposedports"),
        ({"EndpointID": uid(9 << 240), "Interface": {"Address": "10.1.0.3/24"}}, "another endpoint's"),
    ],
)
def test_what_cannot_be_is_refused_with_words(network, more, words):
    create(network, 3)
    answer = create(network, 2, **more)
    assert words in answer["Err"]
    assert set(network.state.endpoints()) == {uid(3 << 240)}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mtu": "70000"}, "mtu"),
        ({"mtu": "abc"}, "mtu"),
        ({"mtu": 1400}, "mtu"),
        ({"network": "Not_A_Name"}, "network"),
        ({"bridge": "br0"}, "unknown"),
    ],
)
def test_network_options_are_checked(plugin, options, words):
    generic = {"com.docker.network.generic": options}
    answer = plugin.dockerd.ask("NetworkDriver.CreateNetwork", NetworkID=NET, IPv4Data=[], Options=generic)
    assert words in answer["Err"]
    assert plugin.state.networks() == {}


def published(*ports):
    return {"com.docker.network.portmap": [{"Proto": 6, "Port": 80, "HostIP": "", **port} for port in ports]}


def test_a_port_of_the_host_is_held_as_long_as_it_is_published(own_netns, network):
    create(network, 2)
    create(network, 3)
    wanted = {"HostPort": 18080, "HostPortEnd": 18080}
    assert call(network, "ProgramExternalConnectivity", 2, Options=published(wanted)) == {}
    assert network.state.endpoint(uid(2 << 240)).published == (Published("tcp", "", 18080, 80),)
    assert "already allocated" in call(network, "ProgramExternalConnectivity", 3, Options=published(wanted))["Err"]
    assert call(network, "ProgramExternalConnectivity", 2, Options=published(wanted)) == {}  # dockerd asks again
    assert call(network, "RevokeExternalConnectivity", 2) == {}
    assert call(network, "ProgramExternalConnectivity", 3, Options=published(wanted)) == {}
    assert call(network, "DeleteEndpoint", 3) == {}
    with socket.socket() as free:
        free.bind(("", 18080))


def test_a_port_that_a_program_of_the_host_has_is_refused_and_of_a_range_the_next_is_taken(own_netns, network):
    create(network, 2)
    with socket.socket() as taken:
        taken.bind(("", 18081))
        wanted = {"HostPort": 18081, "HostPortEnd": 18081}
        assert "18081" in call(network, "ProgramExternalConnectivity", 2, Options=published(wanted))["Err"]
        assert network.state.endpoint(uid(2 << 240)).published == ()
        wide = {"HostPort": 18081, "HostPortEnd": 18082}
        assert call(network, "ProgramExternalConnectivity", 2, Options=published(wide, {"Port": 81})) == {}
    first, second = network.state.endpoint(uid(2 << 240)).published
    assert (first.host_port, second.port) == (18082, 81)
    assert second.host_port > 1023


def test_an_internal_network_has_no_gateway_and_publishes_nothing(plugin):
    plugin.dockerd.ask(
        "NetworkDriver.CreateNetwork",
        NetworkID=NET,
        IPv4Data=[{"Pool": "10.1.0.0/24", "Gateway": "10.1.0.1/24"}],
        Options={"com.docker.network.internal": True},
    )
    assert plugin.state.network(NET).gateways == ()
    assert "no gateway" in create(plugin, 2, Options=published({"HostPort": 1}))["Err"]


def test_where_there_is_no_way_out_publishing_is_refused_with_the_reason(tmp_path):
    plugin = Plugin(tmp_path, shut="there is no nft: apt-get install nftables")
    try:
        plugin.dockerd.ask(
            "NetworkDriver.CreateNetwork", NetworkID=NET, IPv4Data=[{"Pool": "10.1.0.0/24", "Gateway": "10.1.0.1/24"}]
        )
        assert "apt-get install nftables" in create(plugin, 2, Options=published({"HostPort": 1}))["Err"]
        assert "Err" not in create(plugin, 3)
    finally:
        plugin.close()


def test_with_a_dead_controller_creation_fails_fast_where_configured(network):
    network.trouble = "connection refused"
    assert "start it" in create(network, 2)["Err"]


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"null", b"1", b"{", b"\xff\xfe", b'{"a":' * 5000, b'{"NetworkID": 5}', b'{"Options": "x"}'],
)
def test_no_body_is_a_fault(plugin, data):
    for path in plugin.server._calls:
        answer = plugin.dockerd.send(path, data)
        assert "fault" not in answer.get("Err", ""), (path, answer)


def test_random_bodies_are_no_fault(network):
    rng = random.Random(1)
    values = [
        None,
        1,
        -1,
        2**70,
        "",
        "x",
        "x" * 5000,
        [],
        [1],
        [{}],
        {},
        {"a": 1},
        True,
        NET,
        uid(2 << 240),
        "10.1.0.0/24",
    ]
    keys = ["NetworkID", "EndpointID", "Interface", "Options", "Pool", "SubPool", "PoolID", "Address", "V6", "IPv4Data"]
    calls = [path for path in network.server._calls if "Join" not in path]
    for _ in range(1500):
        body = {key: rng.choice(values) for key in rng.sample(keys, rng.randrange(1, 8))}
        answer = network.server.answer(rng.choice(calls), json.dumps(body).encode())
        assert "fault" not in answer.get("Err", ""), body


@pytest.mark.parametrize(
    "head",
    [
        f"POST /Plugin.Activate HTTP/1.1\r\nContent-Length: {MAX_BODY + 1}\r\n\r\n",
        "POST /Plugin.Activate HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST /Plugin.Activate HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "\x00\x01\x02\r\n\r\n",
        "POST /" + "x" * 70000 + " HTTP/1.1\r\n\r\n",
    ],
)
def test_rubbish_on_the_socket_ends_that_connection_only(plugin, head):
    with contextlib.suppress(ConnectionError, http.client.HTTPException):
        plugin.dockerd.raw(head.encode("latin-1"))
    assert plugin.dockerd.ask("Plugin.Activate")["Implements"]


def test_an_unknown_call_is_named(plugin):
    assert "no call" in plugin.dockerd.ask("NetworkDriver.Nonsense")["Err"]


def test_a_second_driver_on_the_same_state_is_refused(plugin, tmp_path):
    with pytest.raises(Exception, match="another driver"):
        State(tmp_path / "state")


def test_many_calls_at_once(network):
    answers = []
    threads = [threading.Thread(target=lambda n=n: answers.append(create(network, n))) for n in range(2, 60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == [{"Interface": {}}] * 58

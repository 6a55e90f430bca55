"""Inside a sandbox, against a real dockerd: what the driver promises, one by one."""

import json
import signal
import socket
import struct
import subprocess
import time

import pytest

from mininet_scenarios.docker_host import DRIVER
from mininet_scenarios.shell import CommandError
from tests.docker.inside_kit import arrived, until


def test_a_container_has_what_docker_promises_and_no_side_door(host):
    mac, address = "02:42:0a:01:00:63", "10.1.0.99"
    host.run("web", "lan", labels=["side=web"])
    host.run("db", "lan", "--ip", address, "--mac-address", mac, "--ip6", "fd00:1::99", labels=["side=db"])
    host.plugged("web.lan", "db.lan")
    end = host.end("db", "lan")
    assert (end["IPAddress"], end["MacAddress"], end["GlobalIPv6Address"]) == (address, mac, "fd00:1::99")
    assert host.gets_through("web", "db")
    assert until(lambda: host.inside("web", "ping", "-6", "-c1", "-W1", "fd00:1::99") is not None)
    assert not host.reaches("db", "web")
    assert host.inside("web", "ip", "route").startswith("default via 10.1.0.1 ")  # the switch's own router
    assert set(host.docker("network", "ls", "--format", "{{.Name}}").split()) == {"host", "none", "lan"}
    assert "docker_gwbridge" not in {name for _, name in socket.if_nameindex()}


def test_a_container_in_several_networks_with_their_own_mtu(host):
    host.docker("network", "create", "-d", DRIVER, "--ipam-driver", DRIVER, "--internal", "-o", "mtu=1400", "inner")
    try:
        host.run("both", "lan", labels=["side=web"])
        host.docker("network", "connect", "inner", "both")
        host.run("deep", "inner", labels=["side=db"])
        host.plugged("both.lan", "both.inner", "deep.inner")
        assert host.live()["both.inner"]["network"] == "inner"
        assert "mtu 1400" in host.inside("both", "ip", "link", "show", "eth1")
        assert "mtu 1500" in host.inside("both", "ip", "link", "show", "eth0")
        assert host.gets_through("both", "deep")
        assert "default" not in host.inside("deep", "ip", "route")
        host.docker("network", "disconnect", "inner", "both")
        assert until(lambda: "both.inner" not in host.live())
        assert not host.reaches("both", host.end("deep", "inner")["IPAddress"])
        host.remove("both", "deep")
    finally:
        host.docker("network", "rm", "inner")


def test_exposed_ports_have_names(host):
    host.run("api", "lan", "--expose", "8000", "--expose", "53/udp", "--label", "ringfence.port.api=8000")
    host.plugged("api.lan")
    assert host.live()["api.lan"]["ports"] == {
        "api": ["tcp/8000"], "tcp-8000": ["tcp/8000"], "udp-53": ["udp/53"],
    }  # fmt: skip


def test_an_address_in_use_is_refused_with_words(host):
    host.run("one", "lan", "--ip", "10.1.0.77")
    with pytest.raises(CommandError, match="in use"):
        host.run("two", "lan", "--ip", "10.1.0.77")
    host.remove("two")


def test_a_failed_start_is_rolled_back(host):
    with pytest.raises(CommandError):
        host.run("bad", "lan", command=("/no/such/program",))
    assert until(lambda: not host.our_interfaces())
    host.remove("bad")


def test_until_its_labels_are_known_a_container_reaches_nobody(host):
    host.run("db", "lan", labels=["side=db"])
    address = host.end("db", "lan")["IPAddress"]
    host.plugged("db.lan")
    host.restart_driver({"engine": "/run/nowhere.sock"})
    host.run("web", "lan", labels=["side=web"])
    with host.watching("db", address) as agent:
        assert not host.reaches("web", address)
        source = host.end("web", "lan")["IPAddress"]
        assert arrived(agent, source) == []
        assert set(host.live()) == {"db.lan"}
        host.restart_driver()
        host.plugged("web.lan")
        assert host.gets_through("web", address), host.last_words()
        assert arrived(agent, source) != []


def frame(dst, src, payload, ethertype=0x0800):
    return bytes.fromhex(dst.replace(":", "") + src.replace(":", "")) + struct.pack("!H", ethertype) + payload


def udp(src, dst, port):
    """An IPv4 datagram; a UDP checksum of 0 is none."""
    data = struct.pack("!HHHH4s", 5555, port, 12, 0, b"mark")
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 32, 1, 0, 64, 17, 0, socket.inet_aton(src), socket.inet_aton(dst))
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + head[12:] + data


def test_the_hosts_own_stack_takes_nothing_from_a_container(host):
    """Beside a userspace datapath the kernel sees the frames too; it must not answer them."""
    host.run("mallory", "lan")
    host.plugged("mallory.lan")
    end = host.end("mallory", "lan")
    outer = host.our_ports()[0]["name"]
    shown = json.loads(subprocess.run(["ip", "-j", "link", "show", outer], check=True, capture_output=True).stdout)
    outer_mac = shown[0]["address"]
    subprocess.run(["ip", "addr", "add", "10.99.0.1/32", "dev", "lo"], check=True)
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("10.99.0.1", 7777))
    listener.settimeout(0.5)
    try:
        ask = struct.pack(
            "!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, bytes.fromhex(end["MacAddress"].replace(":", "")),
            socket.inet_aton(end["IPAddress"]), b"\0" * 6, socket.inet_aton("10.99.0.1"),
        )  # fmt: skip
        with host.watching("mallory", end["IPAddress"]) as agent:
            sources = (end["IPAddress"], "127.0.0.1", "10.99.0.1", "10.1.0.200", "0.0.0.0")
            frames = [frame(outer_mac, end["MacAddress"], udp(s, "10.99.0.1", 7777)) for s in sources]
            host.send_frames("mallory", [frame("ff:ff:ff:ff:ff:ff", end["MacAddress"], ask, 0x0806), *frames])
            with pytest.raises(TimeoutError):
                listener.recv(99)
            assert arrived(agent) == []
    finally:
        listener.close()
        subprocess.run(["ip", "addr", "del", "10.99.0.1/32", "dev", "lo"], check=True)


def test_while_the_controller_is_away_containers_start_cut_off_or_not_at_all(host):
    host.run("db", "lan", labels=["side=db"])
    address = host.end("db", "lan")["IPAddress"]
    host.plugged("db.lan")
    host.controller.kill()
    began = time.monotonic()
    host.run("web", "lan", labels=["side=web"])
    assert time.monotonic() - began < 40
    assert not host.reaches("web", address)
    host.restart_driver({"controller_down": "refuse"})
    began = time.monotonic()
    with pytest.raises(CommandError, match="controller does not answer"):
        host.run("late", "lan")
    assert time.monotonic() - began < 40
    host.remove("late")
    host.controller.start()
    host.controller.wait()
    host.restart_driver()
    host.plugged("web.lan", "db.lan")
    assert host.gets_through("web", address)


def test_the_driver_stops_when_asked_and_leaves_traffic_alone(host):
    host.run("web", "lan", labels=["side=web"])
    host.run("db", "lan", labels=["side=db"])
    host.plugged("web.lan", "db.lan")
    address = host.end("db", "lan")["IPAddress"]
    driver = host.driver
    driver.send_signal(signal.SIGTERM)
    assert driver.wait(30) == 0
    assert host.gets_through("web", address)
    host.driver = None
    host.start_driver()
    host.plugged("web.lan", "db.lan")
    assert host.gets_through("web", address)

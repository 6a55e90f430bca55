"""Inside a sandbox, against a real dockerd: what the driver promises, one by one."""

import json
import random
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time

import pytest

from mininet_scenarios.docker_host import CLIENT, DRIVER, IMAGE
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.private_ovs import Daemon
from mininet_scenarios.shell import CommandError
from tests.docker.inside_kit import ALLOW, Docker, arrived, until
from tests.soak.conftest import effort, figure  # noqa: F401 - fixtures


@pytest.fixture(scope="module")
def host():
    with Janitor() as janitor, Docker(janitor) as host:
        host.network("lan", "--subnet", "10.1.0.0/24", "--ipv6", "--subnet", "fd00:1::/64")
        host.apply(ALLOW)
        yield host
        host.check()


@pytest.fixture(autouse=True)
def clean(host):
    """After each test all containers are removed, and nothing of them may be left."""
    yield
    if names := host.docker("ps", "-aq").split():
        host.remove(*names)
    left = until(lambda: not host.ports() and not host.our_interfaces(), 8)
    assert left, (host.ports(), host.our_interfaces(), host.last_words())


def test_a_container_has_what_docker_promises_and_no_side_door(host):
    mac, address = "02:42:0a:01:00:63", "10.1.0.99"
    host.run("web", "lan", labels=["side=web"])
    host.run("db", "lan", "--ip", address, "--mac-address", mac, "--ip6", "fd00:1::99", labels=["side=db"])
    host.plugged("web.lan", "db.lan")
    end = host.end("db", "lan")
    assert (end["IPAddress"], end["MacAddress"], end["GlobalIPv6Address"]) == (address, mac, "fd00:1::99")
    assert host.reaches("web", "db")
    assert host.inside("web", "ping", "-6", "-c1", "-W1", "fd00:1::99") is not None
    assert not host.reaches("db", "web")
    assert "default" not in host.inside("web", "ip", "route")
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
        assert host.reaches("both", "deep")
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


def test_published_ports_and_addresses_in_use_are_refused_with_words(host):
    host.run("one", "lan", "--ip", "10.1.0.77")
    with pytest.raises(CommandError, match="published"):
        host.run("two", "lan", "-p", "8080:80")
    with pytest.raises(CommandError, match="in use"):
        host.run("three", "lan", "--ip", "10.1.0.77")
    host.remove("two", "three")


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
        assert until(lambda: host.reaches("web", address)), host.last_words()
        assert arrived(agent, source) != []


ACTS = (
    "ping -c1 -W1 {db}",
    "echo x | nc -u -w1 {db} 53",
    "nc -w1 {db} 80 </dev/null",
    "arping -c1 -w1 {db}",
    "ping -6 -c1 -W1 {db6}",
)


def test_the_first_act_of_a_container_is_judged_too(host, effort, figure):  # noqa: F811 - the fixtures
    """Forbidden packets as the first thing each container does, one after the other and all at once."""
    host.run("db", "lan", labels=["side=db"])
    end = host.end("db", "lan")
    places = {"db": end["IPAddress"], "db6": end["GlobalIPv6Address"]}
    host.plugged("db.lan")
    one_by_one, at_once = effort(short=5, full=1000), effort(short=5, full=50)
    with host.watching("db", places["db"]) as agent:
        for number in range(one_by_one):
            act = ACTS[number % len(ACTS)].format(**places)
            host.docker("run", "--rm", "--network", "lan", "--label", "side=nobody", IMAGE, "sh", "-c", f"{act}; true")
        starts = [
            [CLIENT, "run", "--rm", "--network", "lan", IMAGE, "sh", "-c", ACTS[n % 5].format(**places) + "; true"]
            for n in range(at_once)
        ]
        where = host.janitor.surroundings(env={"DOCKER_HOST": f"unix://{host.socket}"})
        running = [host.janitor.start(argv, where=where, output=subprocess.DEVNULL) for argv in starts]
        assert [process.wait(120) for process in running] == [0] * at_once
        forbidden = [flow for flow in arrived(agent) if flow[1] not in places.values()]
    figure("forbidden packets of starting containers delivered", len(forbidden), "packets", at_most=0)


def test_an_allowed_packet_passes_soon_after_the_start(host, effort, figure):  # noqa: F811 - as above
    host.run("db", "lan", labels=["side=db"])
    address = host.end("db", "lan")["IPAddress"]
    host.plugged("db.lan")
    pid = host.inspect("db")["State"]["Pid"]
    code = (
        "import socket,time\ns=socket.socket(socket.AF_INET,socket.SOCK_RAW,socket.IPPROTO_ICMP)\nseen=set()\n"
        "while True:\n _,who=s.recvfrom(99)\n"
        " if who[0] not in seen: seen.add(who[0]); print(who[0],time.time_ns(),flush=True)"
    )
    argv = ["nsenter", "-t", str(pid), "-n", sys.executable, "-I", "-S", "-c", code]
    listener = host.janitor.start(argv, pipe=True)
    waits = []
    for number in range(effort(short=8, full=200)):
        since = time.time()
        host.run(f"w{number}", "lan", labels=["side=web"], command=("ping", "-i", "0.003", address))
        _, at = listener.stdout.readline().split()
        told = host.docker(
            "events", "--since", f"{since:.9f}", "--until", f"{time.time():.9f}", "--filter", f"container=w{number}",
            "--filter", "event=start", "--format", "{{.TimeNano}}",
        )  # fmt: skip
        waits.append((int(at) - int(told.split()[0])) / 1e6)
        host.remove(f"w{number}")
    listener.terminate()
    waits.sort()
    print([round(wait, 1) for wait in waits])
    figure("start event to first allowed packet, p50", statistics.median(waits), "ms", at_most=40)
    figure("start event to first allowed packet, p99", waits[int(len(waits) * 0.99)], "ms", at_most=200)


def test_starting_takes_about_as_long_as_on_dockers_own_bridge(host, effort, figure):  # noqa: F811 - as above
    host.docker("network", "create", "-d", "bridge", "--subnet", "10.77.0.0/24", "plain")
    host.network("fair")
    took = {"fair": [], "plain": []}
    try:
        for _ in range(effort(short=6, full=200)):
            for network, times in took.items():
                began = time.monotonic()
                host.docker("run", "--rm", "--network", network, IMAGE, "true")
                times.append(time.monotonic() - began)
    finally:
        host.docker("network", "rm", "plain", "fair")
    ratio = statistics.median(took["fair"]) / statistics.median(took["plain"])
    print({name: round(statistics.median(times) * 1000) for name, times in took.items()})
    # A handful of starts beside other work says little: the bound that counts is that of the full run.
    at_most = effort(short=150, full=115) / 100
    figure("start on our network against Docker's bridge, median", ratio, "times", at_most=at_most)


STREAM = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 4000))
while True:
    s.sendto(b"x", ("10.1.0.50", 53))
    time.sleep(0.005)
"""


def test_who_gets_an_address_next_inherits_nothing(host, effort, figure):  # noqa: F811 - as above
    """One stream, of one connection, to a container that is replaced by another with its address and MAC."""
    place = ("--ip", "10.1.0.50", "--mac-address", "02:42:0a:01:00:32")
    host.run("web", "lan", labels=["side=web"])
    source, inherited = host.end("web", "lan")["IPAddress"], 0
    inside = ["nsenter", "-t", str(host.inspect("web")["State"]["Pid"]), "-n"]
    subprocess.run([*inside, "ip", "neigh", "add", place[1], "lladdr", place[3], "dev", "eth0"], check=True)
    stream = host.janitor.start([*inside, sys.executable, "-I", "-S", "-c", STREAM])
    for _ in range(effort(short=3, full=500)):
        host.run("db", "lan", *place, labels=["side=db"])
        host.plugged("db.lan")
        with host.watching("db", place[1]) as agent:
            assert until(lambda a=agent: arrived(a, source), 5)
        host.remove("db")
        host.run("heir", "lan", *place, labels=["side=none"])
        with host.watching("heir", place[1]) as agent:
            host.plugged("heir.lan")
            inherited += len(arrived(agent, source))
        host.remove("heir")
    assert stream.poll() is None
    stream.kill()
    figure("packets to who got an address next", inherited, "flows", at_most=0)


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
    outer = host.ports()[0]["name"]
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
    assert time.monotonic() - began < 5
    assert not host.reaches("web", address)
    host.restart_driver({"controller_down": "refuse"})
    began = time.monotonic()
    with pytest.raises(CommandError, match="controller does not answer"):
        host.run("late", "lan")
    assert time.monotonic() - began < 5
    host.remove("late")
    host.controller.start()
    host.controller.wait()
    host.restart_driver()
    host.plugged("web.lan", "db.lan")
    assert until(lambda: host.reaches("web", address))


PARTS = ("driver", "dockerd", "controller", "switch", "database")


def kill(host, part):
    match part:
        case "driver":
            host.restart_driver()
        case "dockerd":
            host.kill("dockerd")
            host.start_dockerd()
        case "controller":
            host.controller.kill()
            host.controller.start()
        case "switch":
            host.ovs.restart(Daemon.SWITCH, gently=False)
        case "database":
            host.ovs.restart(Daemon.DATABASE, gently=False)


def test_whatever_is_killed_and_when_docker_goes_on(host, effort, figure):  # noqa: F811 - as above
    """Parts die before, during and after containers come and go; those with `--restart always` come back."""
    host.run("db", "lan", "--restart", "always", labels=["side=db"])
    host.run("web", "lan", "--restart", "always", labels=["side=web"])
    host.plugged("web.lan", "db.lan")
    rng, wedged, leaks = random.Random(7), 0, 0
    where = host.janitor.surroundings(env={"DOCKER_HOST": f"unix://{host.socket}"})
    for number in range(effort(short=5, full=100)):
        part = PARTS[number % 5] if number < 5 else rng.choice(PARTS)
        argv = [CLIENT, "run", "--rm", "--name", f"x{number}", "--network", "lan", IMAGE, "sleep", "0.2"]
        passing = host.janitor.start(argv, where=where, output=subprocess.DEVNULL)
        time.sleep(rng.random() * 0.8)
        kill(host, part)
        passing.wait(60)
        began = time.monotonic()
        try:
            host.docker("ps", timeout_s=20)
            until(lambda: len(host.docker("ps", "-q", "--filter", "name=web", "--filter", "name=db").split()) == 2, 30)
        except CommandError:
            wedged += 1
        host.controller.wait()
        settled = until(lambda: {"web.lan", "db.lan"} == set(host.live()) and len(host.ports()) == 2, 30)
        leaks += not settled
        assert settled, (part, host.live().keys(), host.ports(), host.log("driver").read_text()[-4000:])
        assert until(lambda: host.reaches("web", host.end("db", "lan")["IPAddress"]), 20), part
        print(f"{part}: settled after {time.monotonic() - began:.1f} s")
    figure("wedged daemons after kills", wedged, "daemons", at_most=0)
    figure("kills after which it did not settle", leaks, "kills", at_most=0)


def test_the_driver_stops_when_asked_and_leaves_traffic_alone(host):
    host.run("web", "lan", labels=["side=web"])
    host.run("db", "lan", labels=["side=db"])
    host.plugged("web.lan", "db.lan")
    address = host.end("db", "lan")["IPAddress"]
    driver = host.driver
    driver.send_signal(signal.SIGTERM)
    assert driver.wait(5) == 0
    assert host.reaches("web", address)
    host.driver = None
    host.start_driver()
    host.plugged("web.lan", "db.lan")
    assert host.reaches("web", address)

"""Inside a sandbox, against a real dockerd: the way out of networks and in to published ports, through policy.

The world is a namespace behind the host, with three addresses and no route to containers.
"""

import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import PurePath

import pytest

from mininet_scenarios.controller import PROJECT
from mininet_scenarios.docker_host import CLIENT, DRIVER
from mininet_scenarios.shell import CommandError
from tests.docker.inside_kit import ALLOW, arrived, until

HOST, HOST6 = "192.0.2.1", "2001:db8::1"
WORLD, OTHER, WORLD6 = "192.0.2.2", "192.0.2.3", "2001:db8::2"
SERVE = """
import socket, sys
s = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
print("up", flush=True)
while True:
    c, who = s.accept()
    c.sendall(who[0].removeprefix("::ffff:").encode()); c.close()
"""
"""Tells each client the address that it sees of him."""
ASK = """
import socket, sys
source = (sys.argv[3], 0) if sys.argv[3:] else None
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 1.2, source) as s:
        print(s.recv(99).decode())
except OSError as error:
    print(type(error).__name__)
"""
RESOLVE = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("192.0.2.2", 53))
print("up", flush=True)
while True:
    q, who = s.recvfrom(512)
    end = q.index(b"\\0", 12) + 5
    a = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\1\\0\\4\\xc0\\0\\2\\x63" if q[end - 4:end - 2] == b"\\0\\1" else b""
    s.sendto(q[:2] + b"\\x81\\x80\\0\\1\\0" + (b"\\1" if a else b"\\0") + b"\\0\\0\\0\\0" + q[12:end] + a, who)
"""
"""A name server that says 192.0.2.99 to everything."""
OUT = """
kind: Policy
name: out
rules:
- action: allow
  from: [{labels: {side: web}}]
  to: [{cidr: 192.0.2.2/32}, {cidr: "2001:db8::2/128"}]
  services: [tcp/80]
"""
NARROW = """
kind: Policy
name: narrow
tier: security
rules:
- {action: deny, from: [{cidr: 192.0.2.3/32}], to: [{labels: {side: web}}]}
"""
REFUSED, LOST = "ConnectionRefusedError", "TimeoutError"


class World:
    """The namespace outside, and what is asked from there and elsewhere."""

    def __init__(self, host):
        self.host, self.netns = host, host.janitor.netns()
        lines = [
            f"link add up0 type veth peer name eth0 netns {self.netns}",
            f"addr add {HOST}/24 dev up0",
            f"addr add {HOST6}/64 dev up0 nodad",
            "link set up0 up",
        ]
        subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)
        inner = [
            f"addr add {a} dev eth0{' nodad' if ':' in a else ''}"
            for a in (f"{WORLD}/24", f"{OTHER}/24", f"{WORLD6}/64")
        ]
        inner = "\n".join([*inner, "link set eth0 up"])
        subprocess.run(["ip", "-n", self.netns, "-batch", "-"], input=inner, text=True, check=True)
        for key in ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"):
            subprocess.run(["sysctl", "-q", "-w", key], check=True)

    def inside(self, name=None):
        """How to run something in the world, or in a container's namespace."""
        if name is None:
            return ["ip", "netns", "exec", self.netns]
        return ["nsenter", "-t", str(self.host.inspect(name)["State"]["Pid"]), "-n"]

    def serve(self, port, name=None, code=SERVE):
        server = self.host.janitor.start(
            [*self.inside(name), sys.executable, "-I", "-S", "-c", code, str(port)], pipe=True
        )
        assert server.stdout.readline() == b"up\n"
        return server

    def ask(self, address, port, *source, at=()):
        """What a server says, or the name of the error."""
        command = [*at, sys.executable, "-I", "-S", "-c", ASK, address, str(port), *source]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def from_world(self, address, port, *source):
        return self.ask(address, port, *source, at=self.inside())

    def from_container(self, name, address, port):
        return self.ask(address, port, at=self.inside(name))


@pytest.fixture(scope="module")
def world(host):
    return World(host)


@pytest.fixture
def documents(host):
    """Apply documents for the length of a test."""
    made = []

    def apply(text):
        host.apply(text)
        lines = [line.partition(": ") for line in text.splitlines() if line.startswith(("kind:", "name:"))]
        made.append((lines[0][2], lines[1][2]))

    yield apply
    for kind, name in made:
        host.controller.rest.delete(kind, name)


def wait(ask, said, timeout_s=60):
    """Wait until an answer is the one that should be, and return the last."""
    answers = []
    until(lambda: answers.append(ask()) or answers[-1] == said, timeout_s)
    return answers[-1]


def policies(host):
    items = host.controller.rest.call("GET", "/v1/policies")["items"]
    return {
        item["document"]["name"]: item["document"] for item in items if item["document"].get("owner") == "docker-driver"
    }


def test_the_way_out_is_shut_until_policy_opens_it_and_has_the_hosts_address(host, world, documents):
    host.run("web", "lan", labels=["side=web"])
    host.run("db", "lan", labels=["side=db"])
    host.plugged("web.lan", "db.lan")
    server = world.serve(80)
    assert world.from_container("web", WORLD, 80) == LOST
    documents(OUT)
    assert wait(lambda: world.from_container("web", WORLD, 80), HOST) == HOST
    assert wait(lambda: world.from_container("web", WORLD6, 80), HOST6) == HOST6
    assert world.from_container("web", OTHER, 80) == LOST
    assert world.from_container("db", WORLD, 80) == LOST
    assert "docker_gwbridge" not in {name for _, name in socket.if_nameindex()}
    server.kill()


def test_a_published_port_shows_policy_who_asks(host, world, documents):
    host.run("web", "lan", "-p", "8080:80", "-p", "127.0.0.1:8081:80", labels=["side=web"])
    host.plugged("web.lan")
    world.serve(80, "web")
    assert wait(lambda: world.from_world(HOST, 8080, WORLD), WORLD) == WORLD
    assert wait(lambda: world.from_world(HOST, 8080, OTHER), OTHER) == OTHER
    assert wait(lambda: world.from_world(HOST6, 8080), WORLD6) == WORLD6
    assert world.from_world(HOST, 8081) != WORLD
    (policy,) = policies(host).values()
    assert (policy["tier"], policy["rules"][0]["services"]) == ("baseline", ["tcp/80"])
    documents(NARROW)
    assert wait(lambda: world.from_world(HOST, 8080, OTHER), LOST) == LOST
    assert wait(lambda: world.from_world(HOST, 8080, WORLD), WORLD) == WORLD
    host.remove("web")
    assert until(lambda: not policies(host))
    assert wait(lambda: world.from_world(HOST, 8080), REFUSED) == REFUSED


def test_the_host_itself_reaches_published_ports_by_any_of_its_addresses(host, world):
    host.run("web", "lan", "-p", "8080:80", "-p", "127.0.0.1:8081:80", labels=["side=web"])
    host.plugged("web.lan")
    world.serve(80, "web")
    assert wait(lambda: world.ask(HOST, 8080), HOST) == HOST
    assert wait(lambda: world.ask("127.0.0.1", 8080), HOST) == HOST
    assert wait(lambda: world.ask("127.0.0.1", 8081), HOST) == HOST


def test_only_what_is_published_is_let_in_even_where_the_world_knows_the_way(host, world, documents):
    host.run("web", "lan", "-p", "8080:80", labels=["side=web"])
    host.plugged("web.lan")
    address = host.end("web", "lan")["IPAddress"]
    documents(
        "kind: Policy\nname: open\nrules:\n- {action: allow, from: [{world: true}], to: [{labels: {side: web}}]}\n"
    )
    world.serve(81, "web")
    subprocess.run(["ip", "-n", world.netns, "route", "add", "10.1.0.0/20", "via", HOST], check=True)
    try:
        assert world.from_world(address, 81) == LOST
        assert world.from_world(address, 80) == LOST
    finally:
        subprocess.run(["ip", "-n", world.netns, "route", "del", "10.1.0.0/20"], check=True)


def test_by_way_of_the_host_a_container_gets_no_further_than_directly(host, world, documents):
    """A published port is not a way round a policy between containers."""
    documents(
        "kind: Policy\nname: anywhere\nrules:\n- {action: allow, from: [{labels: {side: x}}], to: [{world: true}]}\n"
    )
    host.run("web", "lan", "-p", "8080:8000", labels=["side=web"])
    host.run("other", "lan", labels=["side=x"])
    host.plugged("web.lan", "other.lan")
    world.serve(8000, "web")
    assert wait(lambda: world.from_world(HOST, 8080), WORLD) == WORLD
    with host.watching("web", host.end("web", "lan")["IPAddress"]) as agent:
        assert world.from_container("other", HOST, 8080) in {REFUSED, LOST}
        assert arrived(agent, host.end("other", "lan")["IPAddress"]) == []


def test_an_internal_network_has_no_way_out_or_in(host, world, documents):
    documents("kind: Policy\nname: all\nrules:\n- {action: allow, from: [{labels: {side: web}}]}\n")
    host.docker("network", "create", "-d", DRIVER, "--ipam-driver", DRIVER, "--internal", "inner")
    try:
        host.run("deep", "inner", labels=["side=web"])
        host.plugged("deep.inner")
        world.serve(80).kill()
        assert "default" not in host.inside("deep", "ip", "route")
        assert world.from_container("deep", WORLD, 80) == "OSError"
    finally:
        host.remove("deep")
        host.docker("network", "rm", "inner")


def test_names_outside_are_resolved_where_policy_lets_the_question_out(host, world, documents):
    world.serve(53, code=RESOLVE)
    host.run("web", "lan", "--dns", WORLD, labels=["side=web"])
    host.run("db", "lan", "--dns", WORLD, labels=["side=db"])
    host.plugged("web.lan", "db.lan")
    documents(
        "kind: Policy\nname: names\nrules:\n"
        "- {action: allow, from: [{labels: {side: web}}], to: [{cidr: 192.0.2.2/32}], services: [udp/53]}\n"
    )
    assert until(lambda: "192.0.2.99" in (host.inside("web", "nslookup", "outside.example") or ""))
    assert "127.0.0.11" in host.inside("web", "cat", "/etc/resolv.conf")
    assert host.inside("db", "nslookup", "outside.example") is None
    assert host.end("db", "lan")["IPAddress"] in host.inside("web", "nslookup", "db")


def test_a_container_cannot_pretend_to_be_somebody_else_outside(host, world, documents):
    documents(
        "kind: Policy\nname: anywhere\nrules:\n- {action: allow, from: [{labels: {side: web}}], to: [{world: true}]}\n"
    )
    host.run("web", "lan", labels=["side=web"])
    host.plugged("web.lan")
    assert until(lambda: host.inside("web", "ping", "-c1", "-W1", WORLD) is not None)
    mac = subprocess.run(
        [*world.inside("web"), "ip", "-j", "neigh", "show", "10.1.0.1"], capture_output=True, text=True, check=True
    ).stdout
    router, own = json.loads(mac)[0]["lladdr"], host.end("web", "lan")["MacAddress"]
    capture = subprocess.Popen(
        [*world.inside(), sys.executable, "-I", "-S", "-c", CAPTURE], stdout=subprocess.PIPE, text=True
    )
    assert capture.stdout.readline() == "up\n"
    sources = ("10.1.0.77", "198.51.100.1", HOST, "127.0.0.1", host.end("web", "lan")["IPAddress"])
    frames = [datagram(router, own, source, WORLD, 7000 + number) for number, source in enumerate(sources)]
    host.send_frames("web", frames * 2)
    assert capture.communicate(timeout=120)[0].split() == ["7004", "7004"]


CAPTURE = """
import socket, struct, time
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
print("up", flush=True)
end, honest = time.monotonic() + 60, 0
while (left := end - time.monotonic()) > 0:
    s.settimeout(left)
    try: port = struct.unpack_from("!H", s.recv(99), 22)[0]
    except TimeoutError: break
    print(port)
    honest += port == 7004
    if honest == 2: end = time.monotonic() + 1  # they come last; what should not come would be here
"""


def datagram(dst, src, source, target, port):
    """An IPv4 datagram in a frame; a UDP checksum of 0 is none."""
    data = struct.pack("!HHHH4s", 5555, port, 12, 0, b"mark")
    addresses = socket.inet_aton(source), socket.inet_aton(target)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 32, 1, 0, 64, 17, 0, *addresses)
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + head[12:]
    return bytes.fromhex(dst.replace(":", "") + src.replace(":", "")) + b"\x08\x00" + head + data


def test_a_port_that_is_taken_is_refused_with_words_and_is_free_again_later(host):
    host.run("one", "lan", "-p", "8080:80")
    with pytest.raises(CommandError, match="already allocated"):
        host.run("two", "lan", "-p", "8080:80")
    host.remove("one", "two")
    host.run("two", "lan", "-p", "8080:80", "-p", "9000-9002:90-92", "-p", "53:53/udp")
    host.remove("two")


def test_published_ports_outlive_the_driver_and_come_back_with_it(host, world):
    host.run("web", "lan", "-p", "8080:80", labels=["side=web"])
    host.plugged("web.lan")
    world.serve(80, "web")
    assert wait(lambda: world.from_world(HOST, 8080), WORLD) == WORLD
    host.kill("driver")
    assert wait(lambda: world.from_world(HOST, 8080), WORLD) == WORLD
    host.start_driver()
    with pytest.raises(CommandError, match="already allocated"):
        host.run("late", "lan", "-p", "8080:80")
    host.remove("late")
    host.kill("driver")
    host.kill("dockerd")
    host.start_driver()
    host.start_dockerd()
    host.docker("rm", "-f", "web")
    assert until(lambda: not policies(host))
    assert wait(lambda: world.from_world(HOST, 8080), REFUSED) == REFUSED


def test_the_first_five_minutes_of_the_manual(host, world, tmp_path):
    """The lines of docs/docker.md, as they stand there; the driver runs already."""
    page = (PROJECT / "docs/docker.md").read_text()
    lines = page[page.index("```sh\n") + 6 :].partition("```")[0].splitlines()
    assert lines.pop(0) == "ringfence docker-driver &"
    host.make_image("busybox")
    environment = {
        **os.environ,
        "PATH": f"{PurePath(CLIENT).parent}:{PurePath(sys.executable).parent}:{os.environ['PATH']}",
        "DOCKER_HOST": f"unix://{host.socket}",
        "DOCKER_CONFIG": "/run/none",
        "RINGFENCE_TOKEN_FILE": str(host.controller.state_dir / "token"),
        "PYTHONPATH": str(PROJECT),
    }
    script = 'set -e\nwget() { until timeout 2 busybox wget "$@" 2>/dev/null; do sleep 0.1; done; }\n' + "\n".join(
        lines
    )
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    try:
        assert done.returncode == 0, done.stderr
        said = [line for line in done.stdout.splitlines() if line in {"denied", "ready", "hello"}]
        assert said == ["denied", "ready", "hello"]
        assert "allow" in done.stdout[done.stdout.index("ready") : done.stdout.index("hello")]
    finally:
        host.remove("web", "db")
        host.docker("network", "rm", "shop")
        host.apply(ALLOW)  # the page has a policy of the same name


def test_the_last_network_takes_it_all_along(host):
    """Runs last: the network of this module goes."""
    host.docker("network", "rm", "lan")
    assert until(lambda: not {n for _, n in socket.if_nameindex() if n.startswith("rfdocker")})
    tables = ["nft", "list", "tables"]
    assert until(lambda: "ringfence" not in subprocess.run(tables, capture_output=True, text=True, check=True).stdout)
    for plural in ("routers", "uplinks"):
        assert until(lambda p=plural: not host.controller.rest.call("GET", f"/v1/{p}")["items"])

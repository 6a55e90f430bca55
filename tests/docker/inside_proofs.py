"""Inside a sandbox, against a real dockerd: the figures. A few repetitions in `make test`, all in `make soak`."""

import itertools
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import time

import pytest

from mininet_scenarios.docker_host import CLIENT, IMAGE
from mininet_scenarios.private_ovs import Daemon
from mininet_scenarios.shell import CommandError
from tests.docker.inside_kit import arrived, until

FORGED_PORT = 4999
FORGE = f"""
import socket, struct, sys, time
us, them, source, target = sys.argv[1:5]
def mac(text): return bytes.fromhex(text.replace(':', ''))
data = struct.pack('!HHHH4s', 5555, {FORGED_PORT}, 12, 0, b'mark')
head = struct.pack('!BBHHHBBH4s4s', 69, 0, 32, 1, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(target))
total = sum(struct.unpack('!10H', head)); total = (total & 65535) + (total >> 16)
packet = head[:10] + struct.pack('!H', ~(total + (total >> 16)) & 65535) + head[12:] + data
own = mac(open('/sys/class/net/eth0/address').read().strip())
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('eth0', 0))
for _ in range(10):
    for sender in (mac(us), own): s.send(mac(them) + sender + b'\\x08\\x00' + packet)
    time.sleep(0.02)
"""
"""Frames of another, allowed container: with its MAC and address, then with its address alone."""
PYTHON = ("-v", "/usr:/usr:ro", "-v", "/lib:/lib:ro", "-v", "/lib64:/lib64:ro")
"""The machine's Python in a container whose image has none."""
ACT_S = 0.2
"""So long a container tries: longer than it takes to be plugged in."""
ACTS = (
    "ping -c9 -i0.02 -W1 {db}",
    "echo x | nc -u -w1 {db} 53",
    "nc -w1 {db} 80 </dev/null",
    "arping -c1 -w1 {db}",
    "ping -6 -c1 -W1 {db6}",
)


def first_acts(places):
    """The words of `docker run` for one container after the other, each with its first act."""
    raw = ("/usr/bin/python3", "-I", "-S", "-c", FORGE, *(places[k] for k in ("web_mac", "db_mac", "web", "db")))
    plain = [((), ("sh", "-c", f"({act.format(**places)}) & sleep {ACT_S}")) for act in ACTS]
    yield from itertools.cycle([(PYTHON, raw), *plain])


def forbidden_of(flows, places):
    """What nobody may have delivered: anything that is not web's, and what claims to be web's."""
    honest = {places["web"], places["db"], places["db6"]}
    return [flow for flow in flows if flow[1] not in honest or FORGED_PORT in flow]


def test_the_first_act_of_a_container_is_judged_too(host, effort, figure):
    """Forbidden packets, forged ones too, as the first thing each container does: one by one, and all at once."""
    host.run("db", "lan", labels=["side=db"])
    host.run("web", "lan", labels=["side=web"])
    web, db = host.end("web", "lan"), host.end("db", "lan")
    places = {"db": db["IPAddress"], "db6": db["GlobalIPv6Address"], "db_mac": db["MacAddress"]}
    places |= {"web": web["IPAddress"], "web_mac": web["MacAddress"]}
    host.plugged("db.lan", "web.lan")
    one_by_one, at_once = effort(short=6, full=1000), effort(short=6, full=50)
    acts, forbidden = first_acts(places), []
    where = host.janitor.surroundings(env={"DOCKER_HOST": f"unix://{host.socket}"})
    with host.watching("db", places["db"]) as agent:
        assert host.gets_through("web", places["db"])
        assert [f for f in arrived(agent) if f[1] == places["web"]], "the watcher sees nothing"
        for options, command in itertools.islice(acts, one_by_one):
            host.docker("run", "--rm", "--network", "lan", "--label", "side=nobody", *options, IMAGE, *command)
            forbidden += forbidden_of(agent.ask("arrivals"), places)
        starts = [
            [CLIENT, "run", "--rm", "--network", "lan", *options, IMAGE, *command]
            for options, command in itertools.islice(acts, at_once)
        ]
        running = [host.janitor.start(argv, where=where, output=subprocess.DEVNULL) for argv in starts]
        assert [process.wait(300) for process in running] == [0] * at_once
        forbidden += forbidden_of(arrived(agent), places)
    figure("docker: containers whose first act was forbidden, one by one", one_by_one, "containers")
    figure("docker: containers whose first act was forbidden, at once", at_once, "containers")
    figure("docker: forbidden packets of starting containers delivered", len(forbidden), "packets", at_most=0)


def percentile(values, share):
    """The nearest rank: of 200 the 99th percentile is the third largest."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


LISTEN = (
    "import socket,time\ns=socket.socket(socket.AF_INET,socket.SOCK_RAW,socket.IPPROTO_ICMP)\nseen=set()\n"
    "while True:\n _,who=s.recvfrom(99)\n"
    " if who[0] not in seen: seen.add(who[0]); print(who[0],time.time_ns(),flush=True)"
)


def test_an_allowed_packet_passes_soon_after_the_start(host, effort, figure):
    """From the Engine's `start` event; a container that sends before it may be heard before it."""
    host.run("db", "lan", labels=["side=db"])
    address = host.end("db", "lan")["IPAddress"]
    host.plugged("db.lan")
    pid = host.inspect("db")["State"]["Pid"]
    argv = ["nsenter", "-t", str(pid), "-n", sys.executable, "-I", "-S", "-c", LISTEN]
    listener = host.janitor.start(argv, pipe=True)
    waits = []
    for number in range(effort(short=8, full=100)):
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
    # A handful of starts beside other work says little: the bounds that count are those of the full run.
    figure("docker: start event to first allowed packet, p50", round(statistics.median(waits), 2), "ms",
           at_most=effort(short=400, full=20))  # fmt: skip
    figure("docker: start event to first allowed packet, p99", round(percentile(waits, 0.99), 2), "ms",
           at_most=effort(short=2000, full=100))  # fmt: skip


def test_an_opening_that_comes_too_early_is_delayed_and_not_refused(host, effort, figure):
    """The first act of each container is a TCP connection to an open, allowed port."""
    host.run("db", "lan", labels=["side=db"], command=("httpd", "-f", "-p", "80"))
    address = host.end("db", "lan")["IPAddress"]
    host.plugged("db.lan")
    refused, came = 0, []
    for _ in range(effort(short=4, full=100)):
        began = time.monotonic()
        command = ("sh", "-c", f"nc -w 30 {address} 80 </dev/null && echo ready")
        try:
            said = host.docker("run", "--rm", "--network", "lan", "--label", "side=web", IMAGE, *command)
        except CommandError as error:
            said = str(error)
        refused += said != "ready"
        came.append(time.monotonic() - began)
    figure("docker: connections as the first act that were refused or lost", refused, "connections", at_most=0)
    figure("docker: docker run until such a connection is over, p99", round(percentile(came, 0.99), 2), "s")


def test_starting_takes_about_as_long_as_on_dockers_own_bridge(host, effort, figure):
    host.docker("network", "create", "-d", "bridge", "--subnet", "10.77.0.0/24", "plain")
    host.network("fair")
    took = {"fair": [], "plain": []}
    try:
        for number in range(effort(short=6, full=100)):
            for network in sorted(took, reverse=bool(number % 2)):
                began = time.monotonic()
                host.docker("run", "--rm", "--network", network, IMAGE, "true")
                took[network].append(time.monotonic() - began)
    finally:
        host.docker("network", "rm", "plain", "fair")
    for name, network in (("ours", "fair"), ("Docker's bridge", "plain")):
        for share in (0.5, 0.99):
            value = round(percentile(took[network], share) * 1000)
            figure(f"docker: docker run --rm on {name}, p{share * 100:.0f}", value, "ms")
    for share, most in ((0.5, effort(short=300, full=115) / 100), (0.99, None)):
        ratio = percentile(took["fair"], share) / percentile(took["plain"], share)
        figure(f"docker: start against Docker's bridge, p{share * 100:.0f}", round(ratio, 3), "times", at_most=most)


STREAM = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 4000))
while True:
    s.sendto(b"x", ("10.1.0.50", 53))
    time.sleep(0.005)
"""


def test_who_gets_an_address_next_inherits_nothing(host, effort, figure):
    """One stream, of one connection, to a container that is replaced by another with its address and MAC."""
    place = ("--ip", "10.1.0.50", "--mac-address", "02:42:0a:01:00:32")
    host.run("web", "lan", labels=["side=web"])
    source, inherited = host.end("web", "lan")["IPAddress"], 0
    inside = ["nsenter", "-t", str(host.inspect("web")["State"]["Pid"]), "-n"]
    subprocess.run([*inside, "ip", "neigh", "add", place[1], "lladdr", place[3], "dev", "eth0"], check=True)
    stream = host.janitor.start([*inside, sys.executable, "-I", "-S", "-c", STREAM])
    times = effort(short=3, full=500)
    for _ in range(times):
        host.run("db", "lan", *place, labels=["side=db"])
        host.plugged("db.lan")
        with host.watching("db", place[1]) as agent:
            assert until(lambda a=agent: [f for f in a.ask("arrivals") if f[1] == source], 60)
        host.remove("db")
        host.run("heir", "lan", *place, labels=["side=none"])
        with host.watching("heir", place[1]) as agent:
            host.plugged("heir.lan")
            inherited += len(arrived(agent, source))
        host.remove("heir")
    assert stream.poll() is None
    stream.kill()
    figure("docker: addresses that changed hands in the middle of a stream", times, "times")
    figure("docker: flows to who got an address next", inherited, "flows", at_most=0)


PARTS = ("driver", "dockerd", "controller", "switch", "database")
MOMENTS = ("before", "create", "join", "after", "leave")
"""When the part dies: while nothing happens, or so long after `docker run` or `docker rm` began."""
DELAYS_S = {"create": (0.0, 0.15), "join": (0.1, 0.4), "leave": (0.0, 0.25)}
SEED = int(os.environ.get("RINGFENCE_SEED", "7"))
ORPHAN_S = 180.0
"""Orphans are collected when they are a minute old and were seen twice, 30 s apart."""


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


def come_and_go(host, number, part, moment, delay_s):
    """A container comes and goes, and at some moment of it a part is killed."""
    where = host.janitor.surroundings(env={"DOCKER_HOST": f"unix://{host.socket}"})

    def start(*words):
        return host.janitor.start([CLIENT, *words], where=where, output=subprocess.DEVNULL)

    if moment == "before":
        kill(host, part)
    coming = start("run", "-d", "--name", f"x{number}", "--network", "lan", IMAGE, "sleep", "600")
    if moment in {"create", "join"}:
        time.sleep(delay_s)
        kill(host, part)
    coming.wait(180)
    if moment == "after":
        kill(host, part)
    going = start("rm", "-f", f"x{number}")
    if moment == "leave":
        time.sleep(delay_s)
        kill(host, part)
    going.wait(180)


def answers(host):
    """Whether dockerd answers, and both `--restart always` containers run again."""
    try:
        host.docker("ps", timeout_s=60)
        # What dockerd was killed in the middle of may have left the container, as it does with any driver.
        if left := [n for n in host.docker("ps", "-a", "--format", "{{.Names}}").split() if n.startswith("x")]:
            host.remove(*left)
        running = ("ps", "-q", "--filter", "name=web", "--filter", "name=db")
        return until(lambda: len(host.docker(*running).split()) == 2, 60)
    except CommandError:
        return False


def own_books(host):
    """The endpoints and the held addresses (without gateways) that the driver has written down."""
    with sqlite3.connect(f"file:{host.state_dir}/docker.db?mode=ro", uri=True) as db:
        endpoints = db.execute("SELECT count(*) FROM endpoints").fetchone()[0]
        held = "SELECT count(*) FROM addresses WHERE released_at IS NULL AND holder NOT IN ('', 'gateway')"
        return endpoints, db.execute(held).fetchone()[0]


def left_over(host):
    """How many endpoints, addresses, ports and interfaces there are."""
    return sum(own_books(host)) + len(host.our_ports()) + len(host.our_interfaces())


def test_whatever_is_killed_and_when_docker_goes_on(host, effort, figure):
    """Parts die before, during and after containers come and go; those with `--restart always` come back."""
    host.run("db", "lan", "--restart", "always", labels=["side=db"])
    host.run("web", "lan", "--restart", "always", labels=["side=web"])
    host.plugged("web.lan", "db.lan")
    rng, wedged, unsettled, took = random.Random(SEED), 0, [], []
    times = effort(short=5, full=100)
    for number in range(times):
        part, moment = PARTS[number % 5], rng.choice(MOMENTS)
        come_and_go(host, number, part, moment, rng.uniform(*DELAYS_S.get(moment, (0, 0))))
        began = time.monotonic()
        wedged += not answers(host)
        host.controller.wait()
        settled = until(lambda: {"web.lan", "db.lan"} == set(host.live()) and len(host.our_ports()) == 2, 60)
        reached = until(lambda: host.reaches("web", host.end("db", "lan")["IPAddress"]), 60)
        forbidden = host.reaches("db", host.end("web", "lan")["IPAddress"])
        if not settled or not reached or forbidden:
            unsettled.append((part, moment, settled, reached, forbidden))
        took.append(time.monotonic() - began)
        print(f"{number}: {part} {moment}: settled after {took[-1]:.1f} s")
    figure(f"docker: parts killed at random moments, seed {SEED}", times, "kills")
    figure("docker: wedged daemons after kills", wedged, "daemons", at_most=0)
    assert unsettled == [], host.last_words()
    figure("docker: kills after which it leaked or did not settle", len(unsettled), "kills", at_most=0)
    figure("docker: longest time to settle after a kill", round(max(took), 1), "s")


@pytest.mark.skipif(os.environ.get("RINGFENCE_SOAK") != "1", reason="orphans take minutes: `make soak`")
def test_after_kills_nothing_is_left_over(host, effort, figure):
    """Driver and dockerd die in the middle of starts and removals; what they left is gone a while later."""
    rng = random.Random(SEED)
    for number in range(20):
        part, moment = rng.choice(("driver", "dockerd")), rng.choice(("create", "join", "leave"))
        come_and_go(host, number, part, moment, rng.random() / 3)
        assert until(lambda: host.docker("version", timeout_s=20), 30)
    if left := host.docker("ps", "-aq").split():
        host.remove(*left)
    until(lambda: not left_over(host), ORPHAN_S, 2)
    orphans = left_over(host)
    figure("docker: orphaned endpoints, addresses, ports and interfaces after 20 kills", orphans, "things", at_most=0)

"""Runs inside a sandbox, started by test_sites.py: packets while policies change, a workload moves, hosts lie."""

import json
import re
import sys
import time

from mininet_scenarios import namespaces, sandbox, scenario, shell
from mininet_scenarios.sites import SiteNetwork

CHANGES = 100
LONGEST_S = 30
MOVES = 6
INTERVAL_S = 0.002
QUIET_S = 1.2
"""So long counters must have stayed as they are: ports are asked once a second."""
COUNTED_S = 30
"""By when they must say what the device counted: a busy machine lets those who ask wait."""
GUARD = "cookie=0x520200000000000c"
WEB, APP = {"labels": {"tier": "web"}}, {"labels": {"tier": "app"}}
POLICIES = [
    {"kind": "Policy", "name": "web-to-app", "rules": [{"action": "allow", "from": [WEB], "to": [APP], **more}]}
    for more in ({"services": ["udp/53"]}, {}, {"services": ["udp/1-1000", "icmp"]}, {"services": ["udp", "tcp/80"]})
]
"""Each allows web to speak to app on udp/53, and nobody else."""


def streams(network, pairs):
    """Start a datagram each 2 ms, every one a connection of its own, between workloads."""
    by_source = {}
    for number, (source, target) in enumerate(pairs):
        src, dst = (network.world.workloads[n].addresses[0] for n in (source, target))
        one = {"id": number, "src": src, "dst": dst, "port": 53, "interval_s": INTERVAL_S, "renew": 20}
        by_source.setdefault(source, []).append(one)
    for source, wanted in by_source.items():
        network.agents[source].ask("stream", streams=wanted)
    return list(by_source)


def reports(network, sources):
    return {report["id"]: report for source in sources for report in network.agents[source].ask("stop")}


def changing(network):
    """What is lost of what both policies allow, and arrives of what neither does, over 100 changes on two hosts."""
    pairs = [("web2", "vm"), ("db", "vm")]
    warm = streams(network, pairs)  # the underlay resolves its neighbours with the first packet, and drops it
    time.sleep(0.5)
    reports(network, warm)
    network.agents["vm"].ask("arrivals")
    sources = streams(network, pairs)
    for number in range(CHANGES):
        network.controller.rest.apply([POLICIES[number % len(POLICIES)]])
        time.sleep(0.02)
    found = reports(network, sources)
    network.settle()
    return {
        "sent": found[0]["sent"],
        "lost": len(found[0]["lost"]),
        "forbidden": found[1]["sent"],
        "leaked": leaked(network),
    }


def leaked(network):
    """How many datagrams of the one who may not send arrived."""
    address = network.world.workloads["db"].addresses[0]
    return sum(flow[-1] for flow in network.agents["vm"].ask("arrivals") if flow[1] == address)


def moving(network):
    """How long after its port appears the first packet reaches a workload, at each of some moves."""
    delays, wrong, totals = [], 0, []
    hosts = list(network.hosts)
    for number in range(MOVES):
        here, there = hosts[number % 3], hosts[(number + 1) % 3]
        network.agents["vm"].ask("arrivals")
        sources = streams(network, [("web2", "vm"), ("db", "vm")])
        delays.append(move(network, here, there))
        reports(network, sources)
        wrong += leaked(network)
        totals.append(counted(network))
    return {"delays_ms": delays, "leaked": wrong, "totals": totals, "device": device(network)}


def counted(network):
    """What the controller says that the workload sent and received, in packets, once that has come to rest."""
    before, begin = {}, time.monotonic()
    quiet_since = begin
    while time.monotonic() < quiet_since + QUIET_S or (
        before != device(network) and time.monotonic() < begin + COUNTED_S
    ):
        now = network.controller.rest.call("GET", "/v1/endpoints/vm/counters")["totals"]
        now = {figure: now[figure] for figure in ("rxPackets", "txPackets")}
        if now != before:
            before, quiet_since = now, time.monotonic()
        time.sleep(0.1)
    return before


def device(network):
    """What the workload's own device counted."""
    with namespaces.entered(network.places["vm"]):
        text = open("/proc/thread-self/net/dev").read()  # noqa: PTH123, SIM115 - as short as can be
    words = re.search(r"eth0:(.*)", text)[1].split()
    return {"rxPackets": int(words[1]), "txPackets": int(words[9])}


def move(network, here, there):
    """Move the workload; return milliseconds from its port's appearing to the first packet that its device gets."""
    source, target = network.hosts[here], network.hosts[there]
    source.unplug(["vm"])
    namespaces.batch(["link set vm netns " + target.ovs.netns], source.ovs.netns)
    namespaces.batch(["link set vm up addrgenmode none"], target.ovs.netns)
    before = received(network)
    began = time.monotonic()
    target.ovs.vsctl("--no-wait", "add-port", target.bridge, "vm", "--", "set", "Interface", "vm", *ids(network))
    while received(network) == before:
        if time.monotonic() > began + LONGEST_S:
            break
    return round((time.monotonic() - began) * 1000, 1)


def ids(network):
    pairs = network.world.workloads["vm"].external_ids()
    return [f"external_ids:{json.dumps(key)}={json.dumps(value)}" for key, value in pairs.items()]


def received(network):
    """Read how many packets the workload's device has got."""
    return device(network)["rxPackets"]


def lying(network):
    """Tunnel packets from a host that nobody knows, and from an endpoint: where do they end?"""
    one = network.hosts["one"]
    before = one.flows()
    inner = bytes.fromhex("02000a09000102000a09000308004500002000000000401100000a0900030a090001"
                          "c35000350008000000000000")  # fmt: skip
    for attachment in range(1, 12):
        option = bytes.fromhex("ff520102") + attachment.to_bytes(4, "big") + bytes(4)
        geneve = bytes([3, 0]) + bytes.fromhex("6558") + (1).to_bytes(3, "big") + b"\0" + option + inner
        send = f"s.sendto(bytes.fromhex('{geneve.hex()}'), ('{one.address}', 6081))"
        script = f"import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); {send}"
        shell.run([sys.executable, "-c", script])
        shell.run([sys.executable, "-c", script], where=shell.Surroundings(netns=network.places["web1"]))
    time.sleep(0.5)
    flows = one.ovs.ofctl("dump-flows", one.bridge).splitlines()
    counted = sum(int(re.search(r"n_packets=(\d+)", line)[1]) for line in flows if GUARD in line)
    deadline = time.monotonic() + COUNTED_S
    while time.monotonic() < deadline and "came out of its tunnel" not in network.controller.log.read_text():
        time.sleep(0.1)
    told = network.controller.log.read_text().count("came out of its tunnel")
    return {"guarded": counted, "changed": before != one.flows(), "told": told}


def main():
    sandbox.enter()
    with SiteNetwork(scenario.load("vm_move")) as network:
        network.apply_initial()
        network.controller.rest.delete("Policy", "app-to-db")
        network.controller.rest.apply([POLICIES[0]])
        network.settle()
        seen = {"changing": changing(network), "lying": lying(network), "moving": moving(network)}
    print(json.dumps(seen))


if __name__ == "__main__":
    main()

"""Policies made to split the datapath's cache: how many masks it needs, and what a bystander feels of it."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from ipaddress import IPv4Address

from benchmarks.core import built
from benchmarks.harness import REPEATS, Bound, Result
from benchmarks.openflow import modifications, timed
from benchmarks.rows.datapath_row import talking, transactions
from benchmarks.rows.probed import allow, plug, wired
from benchmarks.switches import BRIDGE, add_ports, fresh_bridge, fresh_switch
from benchmarks.wires import TAIL_BYTES, tcp, udp
from benchmarks.workloads import FIRST, Document, World, endpoint, group, mac_of
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.private_ovs import PrivateOvs

ENDPOINTS, GROUPS, POLICIES = 200, 20, 500
HEADERS = 20_000
ATTACKER, TALKER = 300, 301
"""The talker's number, and the next is the listener's."""
TALK = 9000
SETTLE_S = 1.0
_EXACT = re.compile(r"=[^,/()]+(?=[,)])")
_MASKED = re.compile(r"=[^,/()]+/")


def masks() -> Iterator[Result]:
    """Send 20,000 random headers through overlapping CIDRs, port ranges and denies; count masks, watch a bystander."""
    counts: list[float] = []
    before: list[float] = []
    after: list[float] = []
    for turn in range(REPEATS):
        count, quiet, attacked = _turn(_world(), turn)
        counts.append(count)
        before.append(quiet)
        after.append(attacked)
    work = f"{POLICIES} hostile policies, {HEADERS} random headers"
    yield Result("masks", f"{work}: megaflow masks", "masks", counts, bounds=[Bound("ours", "<=", 64)])
    name = "the same before the headers"
    bounds = [Bound("ratio", ">=", 0.9)]
    yield Result("masks", f"{work}: a bystander's transactions, more is better", "1/s", after, before, name, bounds)


def _world() -> World:
    """Return hostile policies: nested CIDRs, overlapping ranges, allow and deny in many bands."""
    chance = random.Random(4)
    groups = {f"g{n}": group(n) for n in range(GROUPS)}
    numbers = (*range(ENDPOINTS), ATTACKER)
    people = {f"e{n}": endpoint(n, {"role": f"g{n % GROUPS}"}) for n in numbers}
    people |= {f"e{TALKER + n}": endpoint(TALKER + n, {"role": role}) for n, role in enumerate(("talker", "listener"))}
    policies = {f"h{n}": _hostile(n, chance) for n in range(POLICIES)}
    policies["talk"] = allow("talk", "talker", "listener", f"tcp/{TALK}") | {"order": 0}
    return World(groups, policies, people)


def _hostile(number: int, chance: random.Random) -> Document:
    length = chance.randint(8, 32)
    start = (int(FIRST) + chance.randrange(ENDPOINTS)) >> (32 - length) << (32 - length)
    first = chance.randrange(1, 60_000)
    rule = {
        "action": chance.choice(("allow", "deny")),
        "from": [{"cidr": f"{IPv4Address(start)}/{length}"}],
        "to": [{"group": f"g{chance.randrange(GROUPS)}"}],
        "services": [f"{chance.choice(('tcp', 'udp'))}/{first}-{first + chance.randrange(1, 5000)}"],
    }
    return {"kind": "Policy", "name": f"h{number}", "order": chance.randrange(1, 50), "rules": [rule]}


def _turn(world: World, seed: int) -> tuple[float, float, float]:
    """Return the masks, and the bystander's transactions a second before and with the headers cached."""
    with Janitor() as janitor, fresh_switch(janitor) as ovs, wired(janitor, ovs, (ATTACKER,)) as prober:
        _, delta = built(world)
        with fresh_bridge(ovs) as channel:
            add_ports(ovs, BRIDGE, ENDPOINTS)
            plug(ovs, (ATTACKER,))
            timed(channel, modifications(delta))
            client, address = talking(janitor, ovs, BRIDGE, TALKER)
            quiet = transactions(janitor, client, address, "rr")
            prober.ask("send", interface=f"w{ATTACKER}", frames=_headers(seed), pause_s=0.002)
            time.sleep(SETTLE_S)
            count = _masks(ovs)
            return count, quiet, transactions(janitor, client, address, "rr")


def _headers(seed: int) -> list[str]:
    """Return frames of the attacker's own address to anyone, from any port to any."""
    chance = random.Random(seed)
    frames = []
    for _ in range(HEADERS):
        target = chance.randrange(ENDPOINTS)
        make = chance.choice((tcp, udp))
        ports = (chance.randrange(1, 65_536), chance.randrange(1, 65_536))
        frame = make((mac_of(ATTACKER), mac_of(target)), (FIRST + ATTACKER, FIRST + target), ports)
        frames.append((frame if make is tcp else frame + bytes(TAIL_BYTES)).hex())
    return frames


def _masks(ovs: PrivateOvs) -> int:
    """Return how many different masks the cached flows have."""
    flows = (line for line in ovs.appctl("dpctl/dump-flows").splitlines() if "recirc_id(" in line)
    return len({_MASKED.sub("=~/", _EXACT.sub("=~", line.partition(", packets:")[0])) for line in flows})

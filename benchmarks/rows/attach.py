"""A port is plugged in: nothing forbidden passes ever, what is allowed passes soon after Open vSwitch numbers it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.harness import Bound, Result
from benchmarks.openflow import bundle_bytes
from benchmarks.ovsdb_link import OvsdbLink
from benchmarks.product import BRIDGE, fresh_product
from benchmarks.rows.probed import PORT, allow, plug, probe_frame, wired
from benchmarks.switches import fresh_bridge, fresh_switch
from benchmarks.wires import Prober
from benchmarks.workloads import NETWORK, Document, World, endpoint
from intent.compiler import fields
from intent.compiler.flow import Flow, FlowBody, FlowKey, Output, exact
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.private_ovs import PrivateOvs
from ryu_apps.wire import Command

CROWD, NEW = 500, 200
"""Ports that are there, and ports that come: real ones all. Of patch ports without a peer, as other rows have, Open
vSwitch writes all rows anew whenever one port comes, which no operator's bridge sees."""
REPLAYED = 40
"""Ports that come to a switch without a controller."""
AT_ONCE = 100
"""Ports in one transaction."""
SINK = 1000
FORBIDDEN = PORT + 1
EVERY_S, BEFORE_S, LATEST_S = 0.001, 0.05, 5.0
FIRST_NEW = 1001


def new_endpoint() -> Iterator[Result]:
    """Plug 200 real ports one by one, each under probes that began before, and note what arrives when."""
    shares: list[float] = []
    delays: list[float] = []
    forbidden = sent = 0
    documents = [allow("probe", "newcomer", "sink"), endpoint(SINK, {"role": "sink"})]
    documents += [endpoint(n, {"role": f"crowd-{n % 50}"}) for n in range(CROWD)]
    newcomers = range(FIRST_NEW, FIRST_NEW + NEW)
    world = World({}, {}, {f"e{n}": endpoint(n, {}) for n in (SINK, *newcomers)})
    wires = (*range(CROWD), SINK, *newcomers)
    with fresh_product(0) as product, wired(product.janitor, product.ovs, wires) as prober:
        _plug_crowd(product.ovs)
        product.apply([{"kind": "Network", "name": NETWORK}, *documents])
        product.until("everybody to be known", lambda: product.live() == CROWD + 1)
        link = _watch(product.ovs)
        for number in newcomers:
            numbered_s, passed_s, counts = _plug_one(prober, link, world, number)
            shares.append(numbered_s * 1000)
            delays.append(passed_s * 1000)
            forbidden, sent = forbidden + counts[0], sent + counts[1]
        link.close()
        memory = product.peak_mb()
    if forbidden:
        raise AssertionError(f"{forbidden} of {sent} forbidden packets arrived")
    note = f"{NEW} ports on a bridge with {CROWD}; {forbidden} of {sent} forbidden packets arrived"
    bounds = [Bound("p99", "<=", 5)]
    work, limit = "ofport assigned to first allowed packet", _replayed(world, newcomers[:REPLAYED])
    peer = "raw replay at that instant"
    yield Result("new_endpoint", work, "ms", delays, limit, peer, bounds, memory, note=note)
    yield Result("new_endpoint", "OVS's own share: transaction to ofport assigned", "ms", shares, note=note)


def _replayed(world: World, newcomers: Sequence[int]) -> list[float]:
    """Return the milliseconds where one ready flow is sent once the number is known: nobody who waits is faster."""
    wires = (*range(CROWD), SINK, *newcomers)
    with (
        Janitor() as janitor,
        fresh_switch(janitor) as ovs,
        wired(janitor, ovs, wires) as prober,
        fresh_bridge(ovs, BRIDGE) as channel,
    ):
        _plug_crowd(ovs)
        link = _watch(ovs)

        def replay(ofport: int) -> None:
            through = FlowKey(0, 1, (exact(fields.IN_PORT, ofport),))
            flow = Flow(through, FlowBody((Output(SINK + 1),), 0))
            channel.replay([bundle_bytes([(Command.ADD, flow)])])

        delays = [_plug_one(prober, link, world, number, replay)[1] * 1000 for number in newcomers]
        link.close()
    return delays


def _plug_crowd(ovs: PrivateOvs) -> None:
    """Plug the ports that are there, and the one that is sent to."""
    for first in range(0, CROWD, AT_ONCE):
        plug(ovs, range(first, first + AT_ONCE), BRIDGE)
    plug(ovs, (SINK,), BRIDGE)


def _watch(ovs: PrivateOvs) -> OvsdbLink:
    """Return a connection to the switch's database that tells of every port number."""
    link = OvsdbLink(ovs.directory / "db.sock", "Open_vSwitch")
    link.call("monitor", "Open_vSwitch", 0, {"Interface": [{"columns": ["name", "ofport"]}]})
    return link


def _plug_one(
    prober: Prober, link: OvsdbLink, world: World, number: int, numbered: Callable[[int], None] = lambda _ofport: None
) -> tuple[float, float, tuple[int, int]]:
    """Return seconds to the port number, from there to the first allowed packet, and (arrived, sent) forbidden ones.

    `numbered` is called with the port number as soon as it is known.
    """
    # An allowed frame of the port before that is late is none of this one's; a forbidden one counts whenever it comes.
    streams = [
        {"id": number, "from": f"w{number}", "frame": probe_frame(world, number, SINK), "every_s": EVERY_S},
        {"id": 2, "from": f"w{number}", "frame": probe_frame(world, number, SINK, FORBIDDEN), "every_s": EVERY_S},
    ]
    prober.ask("probe", streams=streams, listen=[f"w{SINK}"])
    time.sleep(BEFORE_S)
    link.updates.clear()
    begin = time.monotonic()
    link.transact(_insert(number, world.endpoints[f"e{number}"]))
    numbered_at, ofport = _number(link, f"v{number}")
    numbered(ofport)
    give_up_at = numbered_at + LATEST_S
    while not prober.ask("peek")[str(number)] and time.monotonic() < give_up_at:
        time.sleep(0.01)
    notes = prober.ask("stop")
    arrivals = [at for _, at, _ in notes[str(number)]["got"]]
    if not arrivals:
        raise AssertionError(f"nothing allowed passed from v{number} within {LATEST_S:g} s")
    counts = len(notes["2"]["got"]), len(notes["2"]["sent"])
    return numbered_at - begin, max(0.0, min(arrivals) - numbered_at), counts


def _insert(number: int, document: Document) -> list[dict[str, Any]]:
    """Return the transaction that plugs a port whose row says who it is, as a container runtime would."""
    ids: Mapping[str, str] = {
        "iface-id": document["name"],
        "attached-mac": document["mac"],
        "ringfence:ip": document["addresses"][0],
        "ringfence:network": NETWORK,
        "ringfence:label/role": "newcomer",
    }
    name = f"v{number}"
    interface = {"name": name, "external_ids": ["map", [[key, value] for key, value in ids.items()]]}
    port = {"name": name, "interfaces": ["named-uuid", "made_interface"]}
    add = ["ports", "insert", ["set", [["named-uuid", "made_port"]]]]
    return [
        {"op": "insert", "table": "Interface", "uuid-name": "made_interface", "row": interface},
        {"op": "insert", "table": "Port", "uuid-name": "made_port", "row": port},
        {"op": "mutate", "table": "Bridge", "where": [["name", "==", BRIDGE]], "mutations": [add]},
        {"op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": [["next_cfg", "+=", 1]]},
    ]


def _number(link: OvsdbLink, name: str) -> tuple[float, int]:
    """Return the instant at which the database says a port's number, and the number."""
    while True:
        update = link.next_update(LATEST_S)
        assert update is not None, f"{name} got no number in {LATEST_S:g} s"
        for row in update.get("Interface", {}).values():
            new = row.get("new", {})
            if new.get("name") == name and isinstance(new.get("ofport"), int) and new["ofport"] > 0:
                return time.monotonic(), new["ofport"]

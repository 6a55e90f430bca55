"""A port is plugged in: nothing forbidden passes ever, what is allowed passes soon after Open vSwitch numbers it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.harness import Bound, Result
from benchmarks.ovsdb_link import OvsdbLink
from benchmarks.product import BRIDGE, Product, fresh_product
from benchmarks.rows.probed import PORT, allow, plug, probe_frame, wired
from benchmarks.wires import Prober
from benchmarks.workloads import NETWORK, Document, World, endpoint

CROWD, NEW = 500, 200
"""Ports that are there, and ports that come: real ones all. Of patch ports without a peer, as other rows have, Open
vSwitch writes all rows anew whenever one port comes, which no operator's bridge sees."""
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
        for first in range(0, CROWD, AT_ONCE):
            plug(product.ovs, range(first, first + AT_ONCE), BRIDGE)
        plug(product.ovs, (SINK,), BRIDGE)
        product.apply([{"kind": "Network", "name": NETWORK}, *documents])
        product.until("everybody to be known", lambda: product.live() == CROWD + 1)
        link = _watch(product)
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
    work = "ofport assigned to first allowed packet"
    yield Result("new_endpoint", work, "ms", delays, bounds=bounds, memory_mb=memory, note=note)
    yield Result("new_endpoint", "OVS's own share: transaction to ofport assigned", "ms", shares, note=note)


def _watch(product: Product) -> OvsdbLink:
    """Return a connection to the switch's database that tells of every port number."""
    link = OvsdbLink(product.ovs.directory / "db.sock", "Open_vSwitch")
    link.call("monitor", "Open_vSwitch", 0, {"Interface": [{"columns": ["name", "ofport"]}]})
    return link


def _plug_one(prober: Prober, link: OvsdbLink, world: World, number: int) -> tuple[float, float, tuple[int, int]]:
    """Return seconds to the port number, from there to the first allowed packet, and (arrived, sent) forbidden ones."""
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
    numbered_at = _numbered_at(link, f"v{number}")
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


def _numbered_at(link: OvsdbLink, name: str) -> float:
    """Return the instant at which the database says a port's number."""
    while True:
        update = link.next_update(LATEST_S)
        assert update is not None, f"{name} got no number in {LATEST_S:g} s"
        for row in update.get("Interface", {}).values():
            new = row.get("new", {})
            if new.get("name") == name and isinstance(new.get("ofport"), int) and new["ofport"] > 0:
                return time.monotonic()

"""A port floods the controller with what only the controller can judge, while policies change."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Iterator
from ipaddress import IPv4Address

from benchmarks.harness import REPEATS, Bound, Result
from benchmarks.product import BRIDGE, Product, fresh_product
from benchmarks.rows.probed import plug, wired
from benchmarks.wires import mac_bytes
from benchmarks.workloads import Document, draw_policy, mac_of, w

SIZE = (200, 20, 100)
RATE = 20_000
CHANGES = 40
FLOODER = 1000
CLAIMS = 2000
"""Different addresses that are claimed."""
LONGEST_S = 120.0


def packet_in() -> Iterator[Result]:
    """Measure policy changes by POST, idle and under 20,000 claims of an address a second; the switch must stay."""
    idle: list[float] = []
    flooded: list[float] = []
    memory = 0.0
    for _ in range(REPEATS):
        with fresh_product(SIZE[0]) as product, wired(product.janitor, product.ovs, (FLOODER,)) as prober:
            plug(product.ovs, (FLOODER,), BRIDGE)
            product.build_with(w(*SIZE), _learning())
            since = _connected_at(product)
            idle += _changes(product, "idle")
            prober.ask("flood", interface=f"w{FLOODER}", frames=_claims(), rate=RATE, duration_s=LONGEST_S)
            time.sleep(0.5)
            flooded += _changes(product, "flooded")
            if _connected_at(product) != since:
                raise AssertionError("the switch was disconnected under the flood")
            memory = max(memory, product.peak_mb())
    work = f"a policy change by POST under {RATE} claims of an address a second"
    note = "ours_p99 beside peer_p99 is what counts; no disconnect"
    ratio = sorted(flooded)[int(len(flooded) * 0.99)] / sorted(idle)[int(len(idle) * 0.99)]
    yield Result("packet_in", work, "ms", flooded, idle, "the same when idle", memory_mb=memory, note=note)
    yield Result("packet_in", f"{work}: p99 / p99 idle", "", [ratio], bounds=[Bound("ours", "<=", 2)])


def _learning() -> list[Document]:
    """Return a network that learns from ARP, and the port that floods: it has no address of its own yet."""
    network: Document = {"kind": "Network", "name": "learning", "learn": ["arp"]}
    flooder: Document = {
        "kind": "Endpoint",
        "name": "flooder",
        "network": "learning",
        "labels": {},
        "mac": mac_of(FLOODER),
        "binding": {"ifaceId": f"e{FLOODER}"},
    }
    return [network, flooder]


def _claims() -> list[str]:
    chance = random.Random(5)
    mac, everyone = mac_bytes(mac_of(FLOODER)), b"\xff" * 6
    frames = []
    for _ in range(CLAIMS):
        address = IPv4Address("10.9.0.0") + chance.randrange(1 << 16)
        arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + address.packed + bytes(6) + address.packed
        frames.append((everyone + mac + b"\x08\x06" + arp + bytes(18)).hex())
    return frames


def _changes(product: Product, kind: str) -> list[float]:
    chance = random.Random(kind)
    policies = [draw_policy(f"{kind}-{n}", SIZE[1], chance, SIZE[0]) for n in range(CHANGES)]
    return [product.apply([policy]) * 1000 for policy in policies]


def _connected_at(product: Product) -> object:
    (switch,) = product.ask("GET", "/v1/switches")[1]["items"]
    return switch.get("connected_at") or switch.get("connectedAt") or switch["connected"]

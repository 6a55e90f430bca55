"""What it costs to watch 200 endpoints: controller and command, of one core, at a picture a second."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.harness import Bound, Result
from benchmarks.product import Product, fresh_product
from benchmarks.switches import cpu_s
from benchmarks.workloads import NETWORK, endpoint
from cli.answer import Answer
from cli.columns import Row, View, lines

ENDPOINTS = 200
PICTURES, EVERY_S = 20, 1.0
SCREEN = (160, 50)
TARGET_PERCENT = 5.0


def top() -> Iterator[Result]:
    """Ask for all endpoints once a second, draw them, and add up the time of the processor that both sides took."""
    with fresh_product(ENDPOINTS) as product:
        product.apply([{"kind": "Network", "name": NETWORK}, *(endpoint(n, {}) for n in range(ENDPOINTS))])
        product.until("every endpoint to be counted", lambda: _counted(product) == ENDPOINTS)
        shares = [_picture(product) for _ in range(PICTURES)]
        peak = product.peak_mb()
    yield Result(
        "top",
        f"{ENDPOINTS} endpoints, a picture a second: controller and picture, of one core",
        "%",
        [100 * share for share in shares],
        bounds=[Bound("ours", "<=", TARGET_PERCENT)],
        memory_mb=peak,
        note="everything the controller does in that second, its polls of the switch included",
    )


def _counted(product: Product) -> int:
    return len(product.ask("GET", "/v1/live/counters")[1].get("items", []))


def _picture(product: Product) -> float:
    """Ask and draw once, wait for the rest of the second; return the processor's share of it."""
    begun_at, theirs, ours = time.perf_counter(), cpu_s(product.pid), time.thread_time()
    answer = Answer(product.ask("GET", "/v1/live/counters")[1], "counters")
    "\n".join(lines([Row.of(item) for item in answer.items("items")], View(), SCREEN))
    drawn_s = time.thread_time() - ours
    time.sleep(max(EVERY_S - (time.perf_counter() - begun_at), 0))
    return (cpu_s(product.pid) - theirs + drawn_s) / (time.perf_counter() - begun_at)

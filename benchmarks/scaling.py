"""One size of the `scale` row, in a process of its own so that its memory is its own: `python -m benchmarks.scaling N`.

Compiles N endpoints over N/1000 switches with 10,000 policies, then lets endpoints join one by one. Prints one line
of JSON.
"""

from __future__ import annotations

import gc
import json
import random
import resource
import statistics
import sys
import time

from benchmarks.workloads import NETWORK, draw_policy, endpoint, group, labels_in, plugged, text
from intent.compiler import IdMap
from intent.compiler.engine import Engine
from intent.schema import parse_documents, to_intents
from topology.model import Endpoint, Inventory

GROUPS, POLICIES, ON_A_SWITCH = 1000, 10_000, 1000
JOINS = 100


def main(endpoints: int) -> None:
    """Measure one size and print it."""
    chance = random.Random(1)
    network = {"kind": "Network", "name": NETWORK}
    policies = [draw_policy(f"p{n}", GROUPS, chance, endpoints) for n in range(POLICIES)]
    documents = text([network, *(group(n) for n in range(GROUPS)), *policies])
    intents = to_intents(parse_documents(documents, source="scale", max_bytes=len(documents)))
    everybody = [_placed(n, chance) for n in range(endpoints + JOINS)]
    inventory = Inventory({e.name: e for e in everybody[:endpoints]})
    dpids = range(1, -(-endpoints // ON_A_SWITCH) + 1)
    del documents, policies
    gc.collect()
    gc.freeze()
    engine = Engine(IdMap())
    begin = time.perf_counter()
    engine.update(intents, inventory, dpids, 0)
    compiled_s = time.perf_counter() - begin
    flows = sum(len(engine.program(dpid)) for dpid in dpids)
    joins = []
    for newcomer in everybody[endpoints:]:
        begin = time.perf_counter()
        engine.join(newcomer, 0)
        joins.append((time.perf_counter() - begin) * 1000)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    change_ms = statistics.median(joins)
    print(json.dumps({"compiled_s": compiled_s, "flows": flows, "change_ms": change_ms, "peak_mb": peak_mb}))


def _placed(number: int, chance: random.Random) -> Endpoint:
    """Return endpoint `number` where it is plugged in: a thousand on a switch; newcomers on the first ones."""
    return plugged(endpoint(number, labels_in(number, GROUPS, chance)), 1 + number // ON_A_SWITCH)


if __name__ == "__main__":
    main(int(sys.argv[1]))

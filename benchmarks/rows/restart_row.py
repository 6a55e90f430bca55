"""Kill the controller, start it again: how long until every table is verified, and what is sent meanwhile."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address

from benchmarks.harness import REPEATS, Bound, Result
from benchmarks.product import BRIDGE, Product, fresh_product
from benchmarks.rows.probed import plug, probe_frame, probed_world, wired
from benchmarks.wires import lost
from benchmarks.workloads import World, three_tier
from mininet_scenarios import shell

ENDPOINTS, ADDRESSES = 2000, 9
"""Of a three-tier world with about 100,000 flows; Open vSwitch takes minutes to plug as many ports as addresses."""
MORE = IPv4Address("10.64.0.0")
PROBER, PROBED = 20_000, 20_001
ROGUE, MISSING = 50, 50
LOOK_S = 0.1
"""Between two questions whether it is in sync: to ask all the time takes from its one core."""
_COMMITTED = re.compile(r"ringfence.reconciler: [0-9a-f]{16}: (\d+) changes in")


def restart() -> Iterator[Result]:
    """Measure restarts with nothing changed, then with 100 rogue or missing flows, beside `ovs-ofctl diff-flows`."""
    world = probed_world(_large(), PROBER)
    numbers = (PROBER, PROBED)
    with fresh_product(ENDPOINTS) as product, wired(product.janitor, product.ovs, numbers) as prober:
        plug(product.ovs, numbers, BRIDGE)
        product.until("the two wires to be seen", lambda: product.reported() >= ENDPOINTS + len(numbers))
        product.build(world)
        flows = product.flows()
        stream = {"id": 1, "from": f"w{PROBER}", "frame": probe_frame(world, PROBER, PROBED), "every_s": 0.005}
        prober.ask("probe", streams=[stream], listen=[f"w{PROBED}"])
        calm = [_restart(product, lambda: None, 0) for _ in range(REPEATS)]
        spoiled = [_restart(product, lambda: _spoil(product), ROGUE + MISSING) for _ in range(REPEATS)]
        gone = lost(prober.ask("stop")["1"])
        peer = [_diff_flows(product) for _ in range(REPEATS)]
        memory = product.peak_mb()
    if gone:
        raise AssertionError(f"{gone} allowed packets were lost while the controller restarted")
    for work, values in (
        (f"{flows} flows, nothing changed: 0 sent", calm),
        ("100 rogue or missing: 100 sent", spoiled),
    ):
        yield Result(
            "restart",
            f"kill -9, start, verified in sync; {work}",
            "s",
            values,
            peer,
            "ovs-ofctl diff-flows",
            [Bound("ratio", "<=", 1.5)],
            memory,
            note=f"{gone} packets lost",
        )


def _large() -> World:
    """Return a three-tier world whose endpoints have further addresses."""
    world = three_tier(ENDPOINTS)
    wider = {}
    for number, (name, document) in enumerate(world.endpoints.items()):
        more = [str(MORE + number * ADDRESSES + n) for n in range(ADDRESSES - 1)]
        wider[name] = document | {"addresses": [*document["addresses"], *more]}
    return world.but(endpoints=wider)


def _restart(product: Product, spoil: Callable[[], None], expected: int) -> float:
    """Return seconds from the start of a new controller to its word that all is realized.

    Raises:
        AssertionError: it sent more or less than `expected` changes.
    """
    revision = product.revision()
    product.kill()
    spoil()
    said = product.log.stat().st_size
    begin = time.perf_counter()
    product.start()
    product.until("the switch to be in sync", lambda: product.realized(revision), 300, LOOK_S)
    took = time.perf_counter() - begin
    sent = sum(int(n) for n in _COMMITTED.findall(product.log.read_bytes()[said:].decode()))
    if sent != expected:
        raise AssertionError(f"{sent} changes were sent at a restart, {expected} are right")
    return took


def _spoil(product: Product) -> None:
    """Add flows that nobody wants, and delete some that are wanted."""
    ofctl, where = product.ovs.ofctl, f"unix:{product.ovs.directory}/{BRIDGE}.mgmt"
    rogue = "".join(f"table=0,priority=60000,in_port={60000 + n},actions=drop\n" for n in range(ROGUE))
    ofctl("add-flows", where, "-", text=rogue)
    lines = ofctl("--no-stats", "dump-flows", where, "table=2").splitlines()[1:]
    matches = [re.sub(r"cookie=[^,]*, *", "", line.rpartition(" actions=")[0]).strip() for line in lines]
    ofctl("--strict", "del-flows", where, "-", text="".join(f"{match}\n" for match in matches[:MISSING]))


def _diff_flows(product: Product) -> float:
    where = f"unix:{product.ovs.directory}/{BRIDGE}.mgmt"
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(product.ovs.ofctl("--no-stats", "dump-flows", where))
        file.flush()
        begin = time.perf_counter()
        try:
            product.ovs.ofctl("diff-flows", where, file.name)
        except shell.CommandError as error:
            # Code 2 says that there are differences: it reads some of its own words of fragments otherwise.
            if "exit code 2" not in str(error):
                raise
        return time.perf_counter() - begin

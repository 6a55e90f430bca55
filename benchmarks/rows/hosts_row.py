"""Two hundred hosts at once: the whole inventory, one change seen, memory; beside the `ovs` package's IDL."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.harness import Bound, Result, alternate
from benchmarks.hosts_side import INTERFACES, MARK, SCHEMA
from benchmarks.ovsdb_link import Operation, OvsdbLink
from mininet_scenarios.janitor import Janitor

HOSTS = 200
CHANGES = 100
"""Of a turn, each on a host drawn at random, 10 ms apart."""
START_S = 60.0
SIDES = ("ours", "idl")


def hosts() -> Iterator[Result]:
    """Measure both sides in turns against the same 200 ovsdb-server processes."""
    figures: dict[str, dict[str, list[float]]] = {side: {"whole": [], "seen": [], "memory": []} for side in SIDES}
    with Janitor() as janitor:
        links = _servers(janitor)
        where = Path(janitor.directory()) / "targets"
        where.write_text("\n".join(f"unix:{path}" for path, _ in links))

        def turn(side: str) -> None:
            with _following(janitor, side, where) as said:
                whole = next(one for one in said if "whole_s" in one)
                figures[side]["whole"].append(whole["whole_s"])
                figures[side]["memory"].append(whole["memory_mb"])
                figures[side]["seen"] += _changes(links, said, f"{side}-{len(figures[side]['whole'])}")

        alternate(lambda: turn("ours"), lambda: turn("idl"))
    mine, peer = figures["ours"], figures["idl"]
    memory, theirs, name = max(mine["memory"]), max(peer["memory"]), "ovs IDL (pure Python)"
    work = f"{HOSTS} hosts, {INTERFACES} interfaces each: first connect to whole inventory"
    bounds = [Bound("ours", "<=", 10)]
    yield Result("hosts", work, "s", mine["whole"], peer["whole"], name, bounds, memory, theirs)
    work = f"{HOSTS} hosts: one change, from before the transaction to seen"
    yield Result("hosts", work, "ms", mine["seen"], peer["seen"], name, [Bound("p99", "<=", 20)], memory, theirs)


def _servers(janitor: Janitor) -> list[tuple[Path, OvsdbLink]]:
    """Start the servers, each with a copy of one database."""
    base = Path(janitor.directory())
    first = base / "db0"
    subprocess.run(["ovsdb-tool", "create", str(first), SCHEMA], check=True, capture_output=True)
    filler = _serve(janitor, base, 0, first)
    filler.transact(_content())
    filler.call("transact", "Open_vSwitch", {"op": "commit", "durable": True})
    links = [(base / "s0", filler)]
    for number in range(1, HOSTS):
        copy = base / f"db{number}"
        shutil.copy(first, copy)
        links.append((base / f"s{number}", _serve(janitor, base, number, copy)))
    return links


def _serve(janitor: Janitor, base: Path, number: int, database: Path) -> OvsdbLink:
    path = base / f"s{number}"
    argv = ["ovsdb-server", f"--remote=punix:{path}", f"--unixctl={base}/c{number}", "-vconsole:off", "-vfile:off"]
    janitor.start([*argv, str(database)])
    give_up_at = time.monotonic() + START_S
    while True:
        try:
            return OvsdbLink(path, "Open_vSwitch")
        except OSError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.005)


def _content() -> list[Operation]:
    """Return the rows of one host: a bridge, and interfaces as workloads have them."""
    operations: list[Operation] = []
    ports = []
    for number in range(INTERFACES):
        name = "br-ring" if number == 0 else f"v{number}"
        ids = {"iface-id": f"e{number}", "attached-mac": f"02:00:00:00:00:{number:02x}", "ringfence:network": "lan"}
        pairs = ["map", [[key, value] for key, value in ids.items()]]
        row = {"name": name, "type": "internal", "external_ids": pairs}
        operations.append({"op": "insert", "table": "Interface", "uuid-name": f"i{number}", "row": row})
        port = {"name": name, "interfaces": ["named-uuid", f"i{number}"]}
        operations.append({"op": "insert", "table": "Port", "uuid-name": f"p{number}", "row": port})
        ports.append(["named-uuid", f"p{number}"])
    bridge = {"name": "br-ring", "ports": ["set", ports], "external_ids": ["map", [["ringfence", "bench"]]]}
    operations.append({"op": "insert", "table": "Bridge", "uuid-name": "b", "row": bridge})
    operations.append({"op": "insert", "table": "Open_vSwitch", "row": {"bridges": ["named-uuid", "b"]}})
    return operations


@contextmanager
def _following(janitor: Janitor, side: str, where: Path) -> Iterator[Iterator[dict[str, Any]]]:
    """Run one side; give what it says."""
    argv = [sys.executable, "-W", "ignore", "-m", "benchmarks.hosts_side", side, str(where)]
    process = janitor.start(argv, pipe=True)
    if process.stdout is None:
        raise AssertionError("nothing to read from")
    try:
        yield map(json.loads, process.stdout)
    finally:
        process.kill()
        process.wait()


def _changes(links: list[tuple[Path, OvsdbLink]], said: Iterator[dict[str, Any]], kind: str) -> list[float]:
    """Make changes one after the other; return the milliseconds until each was seen."""
    chance, took = random.Random(kind), []
    for number in range(CHANGES):
        _, link = links[chance.randrange(len(links))]
        mark = f"{kind}-{number}"
        where = [["name", "==", f"v{chance.randrange(1, INTERFACES)}"]]
        mutations = [["external_ids", "delete", ["set", [MARK]]], ["external_ids", "insert", ["map", [[MARK, mark]]]]]
        began_at = time.monotonic()
        link.transact([{"op": "mutate", "table": "Interface", "where": where, "mutations": mutations}])
        seen = next(one for one in said if one.get(MARK) == mark)
        took.append((seen["at"] - began_at) * 1000)
        time.sleep(0.01)
    return took

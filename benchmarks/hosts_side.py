"""One side of the row `hosts`, as a process of its own: follows many OVSDB servers and says what it sees.

`python -m benchmarks.hosts_side ours|idl FILE`: FILE lists the targets, one a line. It prints one JSON
line when it holds every interface of every host, then one for each mark it sees, with the instant.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

INTERFACES = 50
"""On each host, its bridge's own included."""
MARK = "mark"
"""Key in external_ids of an interface by which a change is known again."""
TABLES = ("Open_vSwitch", "Bridge", "Port", "Interface", "Controller")
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


def say(**what: object) -> None:
    """Tell the parent; the instant is the machine's, so that both processes mean the same."""
    sys.stdout.write(json.dumps({**what, "at": time.monotonic()}) + "\n")
    sys.stdout.flush()


def say_whole(began_at: float) -> None:
    """Tell that everything is known: seconds since the first connect, and the largest memory so far."""
    took_s = time.monotonic() - began_at
    # Not getrusage: its peak is the parent's where that was larger at the fork.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    say(whole_s=took_s, memory_mb=int(peak.split()[1]) / 1024)


def ours(targets: list[str]) -> None:
    """Follow with the product's client, under eventlet as in the product, into the product's site."""
    import eventlet  # noqa: PLC0415 - patched before anything else is imported

    eventlet.monkey_patch()
    from ovsdb import Client  # noqa: PLC0415
    from topology.events import Event, InterfaceRow, RowsChanged  # noqa: PLC0415
    from topology.site import empty_site, reduce  # noqa: PLC0415

    site = empty_site("bench", targets)
    waiting = {*targets}

    def sink(event: Event) -> None:
        nonlocal site
        site = reduce(site, event)
        if isinstance(event, RowsChanged):
            for row in event.rows:
                if isinstance(row, InterfaceRow) and MARK in row.external_ids:
                    say(mark=row.external_ids[MARK])
        elif event.host in waiting:
            rows = site.hosts[event.host].rows.values()
            if sum(isinstance(row, InterfaceRow) for row in rows) == INTERFACES:
                waiting.discard(event.host)
                if not waiting:
                    say_whole(began_at)

    clients = [Client(target, sink) for target in targets]
    began_at = time.monotonic()
    for client in clients:
        client.start()
    while True:
        eventlet.sleep(60)


def idl(targets: list[str]) -> None:
    """Follow with the `ovs` package, one replica a host in one poll loop, the same columns monitored."""
    import ovs.db.idl  # noqa: PLC0415 - the other side has none of it
    import ovs.poller  # noqa: PLC0415

    from ovsdb.columns import TABLES as COLUMNS  # noqa: PLC0415

    class Replica(ovs.db.idl.Idl):  # type: ignore[misc] # the package has no types
        def notify(self, _event: str, row: Any, _updates: Any = None) -> None:  # noqa: ANN401
            if row._table.name == "Interface" and MARK in row.external_ids:  # noqa: SLF001 - as its documentation does
                say(mark=row.external_ids[MARK])

    def replica(target: str) -> Any:  # noqa: ANN401
        helper = ovs.db.idl.SchemaHelper(SCHEMA)
        for table in TABLES:
            helper.register_columns(table, list(COLUMNS[table]))
        return Replica(target, helper)

    began_at = time.monotonic()
    replicas = [replica(target) for target in targets]
    whole = False
    while True:
        for one in replicas:
            one.run()
        if not whole and all(len(one.tables["Interface"].rows) == INTERFACES for one in replicas):
            whole = True
            say_whole(began_at)
        poller = ovs.poller.Poller()
        for one in replicas:
            one.wait(poller)
        poller.block()


if __name__ == "__main__":
    {"ours": ours, "idl": idl}[sys.argv[1]](Path(sys.argv[2]).read_text().split())

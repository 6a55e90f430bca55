"""The peer: OVN 23.03 with its own databases, northd and controller, on a private Open vSwitch.

It is spoken to by raw transactions over one long-lived connection, so no client of OVN's costs it time. `nb_cfg`
goes up in the same transaction, and it is done when `hv_cfg` has followed: this is what `ovn-nbctl --wait=hv` does.

The controller sometimes does not say that it is done (it logs `req_cfg regressed`, and `--wait=hv` waits without end).
Then it is done when it has come to rest, which is kinder than it is, and `nb_cfg` goes up once more.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import ovn_words as words
from benchmarks.ovn_words import SWITCH, Words
from benchmarks.ovsdb_link import Operation, OvsdbLink
from benchmarks.switches import add_bridge, add_ports, cpu_s, peak_mb
from benchmarks.workloads import Document, World
from mininet_scenarios import shell
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.private_ovs import PrivateOvs

BRIDGE = "br-int"
SCHEMAS = Path("/usr/share/ovn")
START_S, SETTLE_S = 20.0, 180.0
SILENT_S, BUSY, RESTS = 1.0, 0.2, 3
"""Without an answer it is looked so often whether the controller works: more than such a share of a core. It has come
to rest, and forgotten to say so, when it did not so many times in a row."""
MOST_SILENCES = 600
ALIKE, SPREAD, MOST_WAITS = 3, 1.5, 20
"""At rest: so many waits for nothing in a row took at most so many times as long as the shortest."""
NAME = "OVN 23.03, --wait=hv"


class PeerCrashedError(AssertionError):
    """A program of the peer ended by itself. It is reported, and is no win."""


class Ovn:
    """OVN for one hypervisor whose ports are plugged already."""

    def __init__(self, janitor: Janitor, ovs: PrivateOvs) -> None:
        self.ovs = ovs
        self.janitor = janitor
        self._directory = janitor.directory()
        self._programs: dict[str, subprocess.Popen[bytes]] = {}
        self.world: World | None = None
        self._ports: dict[str, str] = {}
        self._acls: dict[str, list[tuple[str, str]]] = {}
        """By policy: port group and row of each ACL."""
        self.forgotten = 0
        """How often it did not say that it was done."""

    # -- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start everything, and return when the hypervisor follows."""
        for name in ("nb", "sb"):
            self._database(name)
        sockets = [f"--ovn{name}-db=unix:{self._path(name)}" for name in ("nb", "sb")]
        self._run("ovn-northd", *sockets, f"--unixctl={self._directory / 'northd.ctl'}")
        settings = {
            "system-id": "bench",
            "ovn-remote": f"unix:{self._path('sb')}",
            "ovn-encap-type": "geneve",
            "ovn-encap-ip": "127.0.0.1",
            "ovn-monitor-all": "true",
            "ovn-bridge-datapath-type": "netdev",
            # On a busy machine the controller takes a long computation of its own for a dead switch, and begins anew.
            "ovn-openflow-probe-interval": "0",
            "ovn-remote-probe-interval": "0",
        }
        self.ovs.vsctl("set", "open", ".", *(f"external_ids:{key}={value}" for key, value in settings.items()))
        self._run("ovn-controller", self.ovs.db_target)
        self._link = OvsdbLink(self._path("nb"), "OVN_Northbound")
        self._link.call("monitor", "OVN_Northbound", 0, {"NB_Global": [{"columns": ["sb_cfg", "hv_cfg"]}]})
        self._until("northd to make its row", lambda: bool(self._link.transact([words.read_cfg()])[0]["rows"]))
        # Before the hypervisor is known there is none to wait for, and any wait would end at once.
        self._until("the hypervisor to register", self._registered)
        self.change([{"op": "insert", "table": "Logical_Switch", "row": {"name": SWITCH}}])

    def _registered(self) -> bool:
        link = OvsdbLink(self._path("sb"), "OVN_Southbound")
        try:
            asked = {"op": "select", "table": "Chassis_Private", "where": [], "columns": ["name"]}
            return bool(link.transact([asked])[0]["rows"])
        finally:
            link.close()

    def _database(self, name: str) -> None:
        file = self._directory / f"{name}.db"
        shell.run(["ovsdb-tool", "create", str(file), str(SCHEMAS / f"ovn-{name}.ovsschema")])
        self._run("ovsdb-server", f"--remote=punix:{self._path(name)}", f"--unixctl={file}.ctl", str(file), name=name)
        self._until(f"the {name} database", self._path(name).exists)

    def _until(self, what: str, done: Callable[[], bool], timeout_s: float = START_S) -> None:
        give_up_at = time.monotonic() + timeout_s
        while not done():
            self.check()
            if time.monotonic() > give_up_at:
                raise PeerCrashedError(f"waited {timeout_s:g} s for {what}")
            time.sleep(0.01)

    def _run(self, *argv: str, name: str = "") -> None:
        here = str(self._directory)
        where = self.janitor.surroundings(self.ovs.netns, {**self.ovs.env, "OVN_RUNDIR": here, "OVN_LOGDIR": here})
        name = name or argv[0]
        with self._log(name).open("ab") as log:
            command = [argv[0], "-vconsole:warn", "-vsyslog:off", *argv[1:]]
            self._programs[name] = self.janitor.start(command, where=where, output=log)

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.sock"

    def _log(self, name: str) -> Path:
        return self._directory / f"{name}.log"

    def stop(self) -> None:
        """End everything that is OVN."""
        self._link.close()
        for program in reversed(self._programs.values()):
            program.kill()
            program.wait()

    def check(self) -> None:
        """Make sure that nothing ended by itself.

        Raises:
            PeerCrashedError: with the end of its log.
        """
        for name, program in self._programs.items():
            if program.poll() is not None:
                raise PeerCrashedError(f"{name} ended with {program.poll()}: {shell.read_tail(self._log(name))}")

    def peak_mb(self) -> float:
        """Return the largest resident memory of northd, the controller and both databases, together."""
        return peak_mb(*(program.pid for program in self._programs.values()))

    # -- changes, each timed -------------------------------------------------------------------

    def change(self, operations: Sequence[Operation]) -> float:
        """Commit operations and wait until the hypervisor has them; return the seconds it took."""
        return self._commit(operations)[1]

    def _commit(self, operations: Sequence[Operation]) -> tuple[list[str | None], float]:
        """Commit and wait; return the row that each operation made, and the seconds."""
        begin = time.perf_counter()
        results = self._link.transact([*operations, words.next_cfg(), words.read_cfg()])
        wanted = results[len(operations) + 1]["rows"][0]["nb_cfg"]
        rested_at = self._followed(wanted)
        rows = [result["uuid"][1] if "uuid" in result else None for result in results[: len(operations)]]
        return rows, (rested_at or time.perf_counter()) - begin

    def _followed(self, wanted: int) -> float | None:
        """Return when the hypervisor has followed; where it forgot to say so, when it had come to rest."""
        reached, rested_at, spent_s = -1, None, [self._spent_s()]
        while reached < wanted:
            update = self._link.next_update(SILENT_S)
            for row in (update or {}).get("NB_Global", {}).values():
                reached = min(row["new"]["sb_cfg"], row["new"]["hv_cfg"])
            if update is not None:
                continue
            self.check()
            spent_s.append(self._spent_s())
            if len(spent_s) > MOST_SILENCES:
                raise PeerCrashedError(f"no answer in {SILENT_S * MOST_SILENCES:g} s")
            if len(spent_s) > RESTS and spent_s[-1] - spent_s[-1 - RESTS] < BUSY * SILENT_S * RESTS:
                rested_at = rested_at or time.perf_counter() - RESTS * SILENT_S
                self.forgotten += 1
                self._link.transact([words.next_cfg()])
                spent_s = [self._spent_s()]
        return rested_at

    def _spent_s(self) -> float:
        """Return the CPU time of all of OVN."""
        return sum(cpu_s(program.pid) for program in self._programs.values())

    def build(self, world: World) -> float:
        """Bring an empty OVN to a world in one transaction; return the seconds."""
        said = Words(world)
        ports = list(words.insert_ports(world.endpoints.values()))
        references = [["named-uuid", words.port_row(e)] for e in world.endpoints.values()]
        members = {name: [] for name in said.every_port_group()}  # type: dict[str, list[list[str]]]
        for endpoint, reference in zip(world.endpoints.values(), references, strict=True):
            for name in said.port_groups(endpoint):
                members[name].append(reference)
        groups = [
            {"op": "insert", "table": "Port_Group", "row": {"name": name, "ports": ["set", inside]}}
            for name, inside in members.items()
        ]
        attach = words.mutate("Logical_Switch", SWITCH, "ports", ("insert", references))
        acls = self._acl_operations(said.acls())
        rows, took = self._commit([*ports, *groups, attach, *acls])
        self._ports = {e["name"]: row for e, row in zip(world.endpoints.values(), rows, strict=False) if row}
        self.world = world
        return took

    def settle(self) -> None:
        """Return when OVN is at rest: every port is up, and waits for nothing take as long as each other.

        After a build it still works on what its own programs told each other; a change that waits in line behind
        that would be measured too slow.
        """
        down = {"op": "select", "table": "Logical_Switch_Port", "where": [["up", "!=", True]], "columns": ["name"]}
        self._until("every port to come up", lambda: not self._link.transact([down])[0]["rows"], SETTLE_S)
        seen = [self.change([]) for _ in range(ALIKE)]
        while max(seen[-ALIKE:]) > SPREAD * min(seen) and len(seen) < MOST_WAITS:
            seen.append(self.change([]))

    def _acl_operations(self, acls: Iterable[words.Acl]) -> list[Operation]:
        """Return what inserts ACLs and hangs each on its port group."""
        inserts: list[Operation] = []
        held: dict[str, list[list[str]]] = {}
        for at, acl in enumerate(acls):
            inserts.append({"op": "insert", "table": "ACL", "uuid-name": f"acl_{at}", "row": acl.row()})
            held.setdefault(acl.holder, []).append(["named-uuid", f"acl_{at}"])
        hang = [words.mutate(words.holder_table(name), name, "acls", ("insert", rows)) for name, rows in held.items()]
        return [*inserts, *hang]

    def join(self, endpoint: Document) -> float:
        """Add one endpoint; return the seconds."""
        assert self.world
        reference = [["named-uuid", words.port_row(endpoint)]]
        groups = Words(self.world).port_groups(endpoint)
        operations = [
            *words.insert_ports([endpoint]),
            words.mutate("Logical_Switch", SWITCH, "ports", ("insert", reference)),
            *(words.mutate("Port_Group", name, "ports", ("insert", reference)) for name in groups),
        ]
        rows, took = self._commit(operations)
        assert rows[0]
        self._ports[endpoint["name"]] = rows[0]
        return took

    def relabel(self, before: Sequence[Document], after: Sequence[Document]) -> float:
        """Move endpoints from their port groups to others, all at once; return the seconds."""
        assert self.world
        said = Words(self.world)
        operations = []
        for left, joined in zip(before, after, strict=True):
            reference = [["uuid", self._ports[left["name"]]]]
            old, new = set(said.port_groups(left)), set(said.port_groups(joined))
            operations += [words.mutate("Port_Group", g, "ports", ("delete", reference)) for g in sorted(old - new)]
            operations += [words.mutate("Port_Group", g, "ports", ("insert", reference)) for g in sorted(new - old)]
        return self.change(operations)

    def add_policy(self, policy: Document) -> float:
        """Add the ACLs of one policy; return the seconds."""
        assert self.world
        acls = list(Words(self.world).acls_of(policy))
        operations = self._acl_operations(acls)
        rows, took = self._commit(operations)
        made = zip(acls, rows, strict=False)
        self._acls[policy["name"]] = [(acl.holder, row) for acl, row in made if row]
        return took

    def drop_policy(self, name: str) -> float:
        """Delete the ACLs of a policy that `add_policy` added; return the seconds."""
        acls = self._acls.pop(name)
        return self.change([_delete_acl(*acl) for acl in acls])

    def edit_policy(self, policy: Document) -> float:
        """Replace the ACLs of a policy that `add_policy` added, in one transaction; return the seconds."""
        assert self.world
        gone = self._acls.pop(policy["name"])
        acls = list(Words(self.world).acls_of(policy))
        operations = self._acl_operations(acls)
        operations += [_delete_acl(*acl) for acl in gone]
        rows, took = self._commit(operations)
        self._acls[policy["name"]] = [(acl.holder, row) for acl, row in zip(acls, rows, strict=False) if row]
        return took


def _delete_acl(holder: str, row: str) -> Operation:
    return words.mutate(words.holder_table(holder), holder, "acls", ("delete", [["uuid", row]]))


@contextmanager
def fresh_ovn(ports: int) -> Iterator[Ovn]:
    """Yield an empty OVN on a new switch with so many ports plugged.

    Raises:
        PeerCrashedError: at the end, if a program of it ended by itself.
        SwitchCrashedError: likewise, if the switch did.
    """
    with Janitor() as janitor, PrivateOvs(janitor) as ovs:
        add_bridge(ovs, BRIDGE)
        add_ports(ovs, BRIDGE, ports)
        ovn = Ovn(janitor, ovs)
        ovn.start()
        yield ovn
        ovn.check()
        ovn.stop()


__all__ = ["BRIDGE", "NAME", "Ovn", "PeerCrashedError", "fresh_ovn"]

"""The rows there are. Each works on a switch of its own, never the machine's."""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import Row
from benchmarks.workloads import World, three_tier
from intent.compiler import IdMap, allocate, compile_program
from intent.compiler.flow import Flow, Program
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.private_ovs import PrivateOvs
from ryu_apps import wire

BRIDGE = "bench"
ENDPOINTS = 1000
OPENED_XID, COMMITTED_XID, FIRST_XID = 2, 3, 10
HEADER = 8


def build(world: World) -> Program:
    """Return the program of a world, from an empty id map."""
    ids = allocate(world.intents, world.inventory, IdMap(), now_s=0)
    return compile_program(world.intents, world.inventory, world.dpid, ids)


@contextmanager
def compile_row() -> Iterator[Row]:
    """Intents and inventory in memory to the flow program of one switch."""
    world = three_tier(ENDPOINTS)

    def ours() -> float:
        begin = time.perf_counter()
        build(world)
        return time.perf_counter() - begin

    yield Row("compile", f"three tiers, {ENDPOINTS} endpoints, {len(build(world))} flows", ours)


@contextmanager
def wire_row() -> Iterator[Row]:
    """Flows in memory to the switch's commit reply, beside `ovs-ofctl --bundle` with flows in a text file."""
    flows = [Flow(*item) for item in build(three_tier(ENDPOINTS)).items()]
    with Janitor() as janitor, PrivateOvs(janitor) as ovs, tempfile.NamedTemporaryFile("w") as text:

        def ours() -> float:
            _fresh(ovs)
            return install(ovs.directory / f"{BRIDGE}.mgmt", flows)

        def peer() -> float:
            _fresh(ovs)
            begin = time.perf_counter()
            ovs.ofctl("--bundle", "add-flows", f"unix:{ovs.directory}/{BRIDGE}.mgmt", text.name)
            return time.perf_counter() - begin

        ours()
        text.write(ovs.ofctl("--no-stats", "dump-flows", f"unix:{ovs.directory}/{BRIDGE}.mgmt"))
        text.flush()
        yield Row("wire", f"{len(flows)} flows to commit reply", ours, peer, "ovs-ofctl --bundle")


ROWS = {"compile": compile_row, "wire": wire_row}


def _fresh(ovs: PrivateOvs) -> None:
    bridge = ("add-br", BRIDGE, "--", "set", "bridge", BRIDGE, "datapath_type=netdev", "fail_mode=secure")
    ovs.vsctl("--if-exists", "del-br", BRIDGE)
    ovs.vsctl(*bridge, "protocols=OpenFlow14")


def install(management: Path, flows: list[Flow]) -> float:
    """Install flows in one atomic bundle over a bridge's management socket; return the seconds it took.

    Raises:
        RuntimeError: the switch refused a message.
        ConnectionError: the switch closed the connection.
    """
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(str(management))
        receive = _receiver(channel)
        channel.sendall(wire.hello(1))
        receive()
        begin = time.perf_counter()
        channel.sendall(wire.bundle_control(OPENED_XID, 1, wire.BundleStep.OPEN_REQUEST))
        _expect(receive, OPENED_XID)
        changes = ((wire.Command.ADD, flow) for flow in flows)
        channel.sendall(b"".join(wire.bundle_flow_mods(1, FIRST_XID, changes, wire.ATOMIC_ORDERED)))
        channel.sendall(wire.bundle_control(COMMITTED_XID, 1, wire.BundleStep.COMMIT_REQUEST))
        _expect(receive, COMMITTED_XID)
        return time.perf_counter() - begin


def _expect(receive: Callable[[], bytes], xid: int) -> None:
    frame = receive()
    while frame[1] == wire.Kind.ECHO_REQUEST:
        frame = receive()
    if frame[1] != wire.Kind.BUNDLE_CONTROL or int.from_bytes(frame[4:HEADER]) != xid:
        raise RuntimeError(f"the switch answered {frame[:64].hex()}")


def _receiver(channel: socket.socket) -> Callable[[], bytes]:
    stream = channel.makefile("rb")

    def receive() -> bytes:
        head = stream.read(HEADER)
        if len(head) < HEADER:
            raise ConnectionError("the switch closed the connection")
        return head + stream.read(int.from_bytes(head[2:4]) - HEADER)

    return receive

"""Counters of endpoints beside the kernel's own: equal soon after the last packet, and they only grow."""

from __future__ import annotations

import itertools
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from controller_bench import BRIDGE, THREE, ControllerBench, until

from mininet_scenarios import namespaces
from mininet_scenarios.private_ovs import Daemon
from ryu_apps.polling import INTERVAL_S, KEEP_S

ANSWER = b"y" * 4000
KERNEL = {"rxBytes": 0, "rxPackets": 1, "txBytes": 8, "txPackets": 9}
"""Columns of /proc/net/dev (proc(5))."""
SOON_S = 60.0
"""A polling interval and the half second by which flows count late, on a machine that is busy with other things."""


class Workloads:
    """Endpoints in namespaces of their own behind one controller; `a` may open tcp/80 to `b`, and nothing else may."""

    def __init__(self, bench: ControllerBench) -> None:
        self.bench = bench.start()
        self.netns: dict[str, str] = {}
        self.outer: dict[str, str] = {}
        assert until(lambda: BRIDGE in bench.ovs.vsctl("list-br"))

    def plug(self, name: str, number: int) -> None:
        address = f"10.0.0.{number}"
        nic = self.bench.nic(number, address, netns=self.netns.get(name))
        self.bench.plug(nic, {"iface-id": name, "ringfence:ip": address, "ringfence:label/app": name})
        self.netns[name], self.outer[name] = nic.netns, nic.outer

    def unplug(self, name: str) -> None:
        self.bench.ovs.vsctl("del-port", BRIDGE, self.outer[name], wait=True)
        namespaces.unplug([self.outer[name]], self.bench.ovs.netns)

    def settle(self) -> None:
        assert until(lambda: self.bench.apply(THREE)["realized"]["phase"] == "realized")
        assert until(lambda: len(self.bench.ask("GET", "/v1/live/endpoints")[1]["items"]) == len(self.netns))

    # -- traffic -------------------------------------------------------------------------------

    def socket(self, name: str, *kind: int) -> socket.socket:
        with namespaces.entered(self.netns[name]):
            made = socket.socket(*kind)
        made.settimeout(30)
        return made

    def talk(self, connections: int) -> None:
        """Let `a` open connections to `b` that carry something both ways."""
        with self.socket("b") as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("10.0.0.2", 80))
            listener.listen()
            for _ in range(connections):
                with self.socket("a") as client:
                    client.connect(("10.0.0.2", 80))
                    served, _ = listener.accept()
                    with served:
                        client.sendall(b"x" * 1000)
                        assert served.recv(1000)
                        served.sendall(ANSWER)
                        got = 0
                        while got < len(ANSWER):
                            got += len(client.recv(4096))

    def knock(self, packets: int) -> None:
        """Let `a` send datagrams to `b` that no rule allows."""
        with self.socket("a", socket.AF_INET, socket.SOCK_DGRAM) as client:
            for _ in range(packets):
                client.sendto(b"z", ("10.0.0.2", 9))
                time.sleep(0.01)

    def forge(self, name: str, packets: int) -> None:
        """Let an endpoint send what is not from its own address."""
        addresses = socket.inet_aton("10.9.9.9") + socket.inet_aton("10.0.0.2")
        header = bytes((0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0)) + addresses
        frame = bytes.fromhex("020000000002") + bytes.fromhex("020000000003") + b"\x08\x00" + header + bytes(8)
        with self.socket(name, socket.AF_PACKET, socket.SOCK_RAW) as raw:
            with namespaces.entered(self.netns[name]):
                raw.bind(("eth0", 0))
            for _ in range(packets):
                raw.send(frame)

    # -- figures -------------------------------------------------------------------------------

    def kernel(self, name: str) -> dict[str, int]:
        """Return what the container's own interface counted."""
        with namespaces.entered(self.netns[name]):
            lines = Path("/proc/thread-self/net/dev").read_text().splitlines()
        words = next(line for line in lines if "eth0:" in line).split(":")[1].split()
        return {figure: int(words[column]) for figure, column in KERNEL.items()}

    def counters(self, name: str, **query: str) -> dict:
        words = "&".join(f"{key}={value}" for key, value in query.items())
        status, answer = self.bench.ask("GET", f"/v1/endpoints/{name}/counters?{words}")
        return answer if status == 200 else {"totals": {}, "reasons": []}

    def totals(self, name: str) -> dict[str, int]:
        return self.counters(name)["totals"]

    def agrees(self, name: str) -> bool:
        totals = self.totals(name)
        return {figure: totals.get(figure) for figure in KERNEL} == self.kernel(name)

    def unread(self, name: str) -> int:
        """Return how many packets of a workload the switch never saw: it was not there to read them.

        They waited in the switch's socket, of 200 KB, while a busy machine let it wait. The interface counts them.
        """
        with namespaces.entered(self.bench.ovs.netns):
            said = subprocess.run(["ss", "-0amn"], capture_output=True, text=True, check=True).stdout
        # One line a socket, or two: `p_raw ... *:NAME * skmem:(r0,...,dDROPS)` (ss(8), -m).
        found = re.search(rf"\*:{self.outer[name]}\b.*?skmem:\([^)]*\bd(\d+)\)", said, re.DOTALL)
        assert found, said
        return int(found[1])

    def figures(self, **more: object) -> str:
        """Return all figures that are not 0, short enough to be shown whole."""
        rows = [f"{n}: { ({k: v for k, v in self.totals(n).items() if v}) } {self.reasons(n)}" for n in self.netns]
        return "\n".join(["", *rows, str(more)])

    def reasons(self, name: str) -> dict[tuple[str, str], int]:
        return {(r["figure"], r["reason"]): r["packets"] for r in self.counters(name)["reasons"]}


@pytest.fixture
def workloads(bench):
    made = Workloads(bench)
    for number, name in enumerate("abc", 1):
        made.plug(name, number)
    made.settle()
    return made


def test_figures_are_the_containers_own_and_every_drop_has_its_sender_and_its_reason(workloads):
    workloads.talk(5)
    workloads.knock(7)
    workloads.forge("c", 4)
    quiet_at = time.monotonic()
    assert until(lambda: all(map(workloads.agrees, "abc")), SOON_S), workloads.figures(kernel=workloads.kernel("a"))
    print(f"equal {time.monotonic() - quiet_at:.2f} s after the last packet")
    assert until(lambda: workloads.totals("c")["dropped"] == 4, SOON_S), workloads.figures()
    time.sleep(2 * INTERVAL_S)  # flows count late: now what they say must not be taken for more
    a, b, c = map(workloads.totals, "abc")
    assert (a["opened"], b["accepted"]) == (5, 5)
    assert (a["dropped"], b["kept"], c["dropped"]) == (7, 7, 4)
    assert workloads.reasons("a") == {("dropped", "posture lan"): 7}
    assert workloads.reasons("b") == {("kept", "posture lan"): 7}
    assert workloads.reasons("c") == {("dropped", "guard source"): 4}
    assert (b["dropped"], c["opened"], a["rxLost"]) == (0, 0, 0)
    past = workloads.counters("a", history="seconds")["history"]
    assert all(x["totals"]["rxBytes"] <= y["totals"]["rxBytes"] for x, y in itertools.pairwise(past))
    assert past[-1]["totals"] == a


def test_a_flood_of_drops_is_counted_whole_though_few_are_shown(workloads):
    sent = 3000
    with workloads.socket("a", socket.AF_INET, socket.SOCK_DGRAM) as client:
        for _ in range(sent):
            client.sendto(b"z", ("10.0.0.2", 9))
            time.sleep(0.0005)
    seen = sent - workloads.unread("a")
    whole = until(lambda: workloads.totals("a").get("dropped", 0) >= seen, SOON_S)
    time.sleep(2 * INTERVAL_S)  # what comes late must not be taken for more
    assert whole, workloads.figures(seen=seen)
    assert workloads.totals("a")["dropped"] == workloads.totals("b")["kept"] == seen, workloads.figures(seen=seen)
    assert workloads.reasons("a") == {("dropped", "posture lan"): seen}
    assert seen > sent / 2


def test_totals_only_grow_over_moves_restarts_and_reconnects(workloads):
    bench = workloads.bench
    seen: list[dict[str, int]] = []

    def check(step: str) -> None:
        workloads.talk(1)
        before = seen[-1] if seen else {}
        assert until(lambda: workloads.totals("a").get("opened", 0) > before.get("opened", 0), SOON_S), step
        seen.append(workloads.totals("a"))
        assert all(seen[-1][figure] >= count for figure, count in before.items()), (step, before, seen[-1])

    workloads.knock(3)
    assert until(lambda: workloads.totals("a").get("dropped") == 3)
    check("at first")
    assert bench.stop() == 0
    bench.start()
    assert until(lambda: workloads.totals("a").get("dropped") == 3, SOON_S), "what only the controller knew is kept"
    workloads.settle()
    check("after a restart")
    assert until(lambda: workloads.agrees("a"), SOON_S)
    time.sleep(KEEP_S + 3 * INTERVAL_S)  # so old at most is what a controller forgets that is killed
    bench.stop(signal.SIGKILL)
    workloads.talk(1)  # nobody looks
    bench.start()
    workloads.settle()
    assert until(lambda: workloads.agrees("a"), SOON_S), "what interfaces count is not lost with the controller"
    check("after being killed")
    bench.ovs.restart(Daemon.SWITCH, gently=False)
    assert until(bench.is_connected)
    workloads.settle()
    check("after the switch began anew")
    assert until(lambda: workloads.agrees("a"), SOON_S)
    workloads.unplug("a")
    workloads.plug("a", 1)
    assert until(lambda: workloads.totals("a")["rxPackets"] >= seen[-1]["rxPackets"])
    workloads.settle()
    check("after a move to another port, which counts from 0")
    assert workloads.kernel("a")["rxPackets"] < seen[-1]["rxPackets"]

"""Reject, observe and expiry on a real switch with a real controller: what a packet meets, and what is counted."""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import json
import socket
import time

import pytest

from mininet_scenarios import namespaces
from tests.ovs.controller_bench import until

ENDED_S = 5.0
"""Open vSwitch looks for flows that are over once a second, and a busy machine lets it wait."""
NETWORK = "{kind: Network, name: lan, subnets: [10.0.0.0/24]}\n---\n"


@pytest.fixture
def bench(bench):
    """Two workloads in namespaces of their own, a controller, and a listener at the second."""
    bench.start()
    assert until(bench.is_connected), bench.said()
    bench.hosts = {}
    for number, name in ((1, "web"), (2, "db")):
        address = f"10.0.0.{number}"
        nic = bench.nic(number, address)
        bench.plug(nic, {"iface-id": name, "ringfence:ip": address, "ringfence:label/app": name})
        bench.hosts[name] = nic.netns
    with namespaces.entered(bench.hosts["db"]):
        bench.listener = socket.create_server(("10.0.0.2", 80), backlog=64)
    yield bench
    bench.listener.close()
    bench.stop()


def knock(bench, timeout_s: float = 1.0) -> str:
    """Open a connection from web to db; say what came of it."""
    with namespaces.entered(bench.hosts["web"]):
        client = socket.socket()
    client.settimeout(timeout_s)
    with client:
        try:
            client.connect(("10.0.0.2", 80))
        except ConnectionRefusedError:
            return "refused"
        except TimeoutError:
            return "silent"
    return "open"


def flood(bench, count: int) -> tuple[int, float]:
    """Open connections from web to db at once; return how many were refused, and how long that took."""
    with contextlib.ExitStack() as stack:
        with namespaces.entered(bench.hosts["web"]):
            clients = [stack.enter_context(socket.socket()) for _ in range(count)]
        started = time.monotonic()
        for client in clients:
            client.setblocking(False)
            client.connect_ex(("10.0.0.2", 80))
        time.sleep(0.9)  # openings are sent again after 1 s
        told: list[int] = []
        while not told and time.monotonic() < started + 30:
            found = [client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) for client in clients]
            told = [error for error in found if error]
            time.sleep(0.05)
    assert set(told) == {errno.ECONNREFUSED}
    return len(told), time.monotonic() - started


def rule(name: str, action: str, more: str = "") -> str:
    return (
        f"kind: Policy\nname: {name}\n{more}"
        f"rules: [{{action: {action}, from: [{{labels: {{app: web}}}}], to: [{{labels: {{app: db}}}}]}}]\n---\n"
    )


def accepted(listener: socket.socket, peer: tuple[str, int]) -> socket.socket:
    """Return the server's end of one connection, past those that knocked before."""
    while True:
        server, address = listener.accept()
        if address == peer:
            return server
        server.close()


def live(bench) -> bool:
    return len(bench.ask("GET", "/v1/live/endpoints")[1]["items"]) == 2


def test_a_rejected_sender_is_told_at_once_and_a_flood_is_not(bench) -> None:
    bench.apply(NETWORK + rule("told", "reject"))
    assert until(lambda: live(bench) and knock(bench, 0.3) == "refused")
    assert until(lambda: knock(bench, 0.9) == "refused"), "before its opening is sent again, after 1 s"
    time.sleep(1.1)
    refused, took_s = flood(bench, 60)
    assert refused <= 15 + 10 * took_s, "ten a second and a burst"
    bench.apply(rule("told", "deny"))
    bench.ovs.appctl("revalidator/wait")  # until then the old verdict may hold (law 3)
    assert knock(bench, 0.3) == "silent"


def test_an_observed_policy_changes_nothing_and_is_counted(bench) -> None:
    bench.apply(NETWORK + rule("open", "allow") + rule("strict", "deny", "tier: security\nmode: observe\n"))
    assert until(lambda: live(bench) and knock(bench, 0.3) == "open")
    for _ in range(5):
        assert knock(bench) == "open"

    def counted() -> int:
        answer = bench.ask("GET", "/v1/observed")[1]
        assert answer["observing"] == ["strict"]
        return sum(t["connections"] for t in answer["rules"] if (t["enforced"], t["candidate"]) == ("allow", "deny"))

    assert until(lambda: counted() >= 6), json.dumps(bench.ask("GET", "/v1/observed")[1])
    hits = bench.ask("GET", "/v1/counters")[1]["rules"]
    assert {h["policy"] for h in hits if h["packets"]} == {"open"}


def test_an_allow_ends_in_the_switch_also_when_the_controller_is_dead(bench) -> None:
    began = time.monotonic()
    bench.apply(NETWORK + rule("always", "allow"))
    assert until(lambda: live(bench) and knock(bench) == "open"), bench.said()
    bench.ask("DELETE", "/v1/policies/always?wait=realized")
    took_s = time.monotonic() - began  # the same again has to fit in before it ends, however busy the machine is
    ends = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=4 + 3 * took_s)
    bench.apply(rule("brief", "allow", f"expires: {ends.isoformat()}\n"))
    assert until(lambda: knock(bench) == "open"), bench.said()
    with namespaces.entered(bench.hosts["web"]):
        stream = socket.create_connection(("10.0.0.2", 80), timeout=10)
    bench.process.kill()
    bench.process.wait(30)
    server = accepted(bench.listener, stream.getsockname())
    assert knock(bench) == "open", "the switch goes on without its controller"
    assert dt.datetime.now(dt.UTC) < ends
    time.sleep(max(0.0, ends.timestamp() - time.time()))
    assert until(lambda: knock(bench, 0.3) == "silent", ENDED_S), "it ended in the switch"
    print(f"ended at most {time.time() - ends.timestamp():.1f} s late")
    assert knock(bench) == "silent"
    stream.send(b"late")
    server.settimeout(0.5)
    with pytest.raises(TimeoutError):
        server.recv(16)
    stream.close()
    server.close()
    bench.start()


def test_a_switch_shows_what_its_connection_tracking_does_not_keep(bench) -> None:
    """Open vSwitch 3.1's userspace conntrack keys SCTP without ports; the probe finds out."""
    assert until(lambda: bench.switch()["items"][0]["portless"] is not None)
    assert bench.switch()["items"][0]["portless"] == [132]

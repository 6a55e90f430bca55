"""What the command line is tested against: the real API over a real store; only the switches are made up."""

import contextlib
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import eventlet
import eventlet.wsgi

from intent.api import SwitchStatus
from intent.api.ports import Drop, Hit, Tally
from intent.store import Store
from topology.model import NAME_LABEL, NETWORK_LABEL, Endpoint, Inventory, Location, NamedPort, Report

TOKEN = "0123456789abcdef" * 4

SHOP = """\
kind: Network
name: shop
---
kind: Group
name: web
members:
- labels: {tier: web}
---
kind: Policy
name: web-to-app
owner: shop-team
description: the shop's front
rules:
- name: http
  action: allow
  from: [{group: web}]
  to: [{labels: {tier: app}}]
  services: [tcp/8080]
"""


def endpoint(name: str, number: int) -> Endpoint:
    labels = {"tier": name.split("-", maxsplit=1)[0], NAME_LABEL: name, NETWORK_LABEL: "shop"}
    return Endpoint(
        name,
        "shop",
        labels,
        f"02:00:00:00:00:{number:02x}",
        (ip_address(f"10.1.0.{number}"), ip_address(f"fd00::{number}")),
        (NamedPort("http", 6, 80),),
        Location(1, number, f"v{number}", f"uid-{number}"),
    )


class World:
    """Everything the API is given beside the store: one switch that confirms when told to."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.confirms = True
        self.waits: list[float] = []
        self.faults: list[BaseException] = []
        self.inventory = Inventory(
            {e.name: e for e in (endpoint("web-1", 1), endpoint("app-1", 2), endpoint("db-1", 3))},
            reports=(Report("endpoint \x1b[31mevil", "has the address of web-1", "give it another"),),
        )

    def switches(self) -> list[SwitchStatus]:
        revision = self.store.revision if self.confirms else 0
        return [SwitchStatus(1, "br-ring", "unix:/db.sock", connected=True, revision=revision, flows=42)]

    def failures(self) -> dict:
        return {}

    def current(self) -> Inventory:
        return self.inventory

    def offsets(self, zones, now):
        return dict.fromkeys(zones, timedelta(0))

    def now(self) -> datetime:
        return datetime(2026, 1, 2, tzinfo=UTC)

    def wait(self, _revision: int, timeout_s: float) -> None:
        self.waits.append(timeout_s)

    def breathe(self) -> None:
        pass

    def hits(self) -> list[Hit]:
        return [Hit("web-to-app", "http", "egress", 3, 300), Hit("web-to-app", "r", "egress", 1, 60)]

    def drops(self) -> list[Drop]:
        return [Drop("posture shop", 5, 500)]

    def tallies(self) -> list[Tally]:
        return [Tally("", "", "allow", "deny", 7, 2), Tally("strict", "r", "allow", "deny", 7, 2)]

    def report(self, error: BaseException) -> None:
        self.faults.append(error)


@contextlib.contextmanager
def served(app):
    """Serve an app on a loopback port as the controller does: by eventlet, in a thread of its own."""
    done, ready = threading.Event(), threading.Event()
    ports = []

    def serve() -> None:
        with contextlib.closing(eventlet.listen(("127.0.0.1", 0))) as listener:
            ports.append(listener.getsockname()[1])
            server = eventlet.spawn(eventlet.wsgi.server, listener, app, log_output=False)
            ready.set()
            while not done.is_set():
                eventlet.sleep(0.005)
            server.kill()

    thread = threading.Thread(target=serve)
    thread.start()
    ready.wait()
    try:
        yield f"http://127.0.0.1:{ports[0]}"
    finally:
        done.set()
        thread.join()

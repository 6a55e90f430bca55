"""An API over a real store, with plain values for what the controller would inject."""

import dataclasses
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import falcon.testing

from intent.api import Limits, Ports, SwitchStatus, make_app
from intent.api.ports import Drop, Hit, Tally
from intent.store import Store
from topology.model import Endpoint, Inventory, Location, NamedPort, Report, UnaddressedPort

TOKEN = "t" * 43
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)

SITE = """
kind: Network
name: shop
subnets: [10.1.0.0/24, "fd00:1::/64"]
---
{kind: Network, name: office}
---
{kind: Group, name: web, members: [{labels: {tier: web}}]}
---
{kind: Service, name: web, matches: [tcp/80, tcp/http]}
---
kind: Policy
name: web-to-app
owner: shop-team
description: web may ask app
rules:
- {name: ask, action: allow, from: [{group: web}], to: [{labels: {tier: app}}], services: [tcp/8080, {service: web}]}
---
kind: Endpoint
name: web-1
network: shop
mac: "02:00:00:00:00:01"
addresses: [10.1.0.1]
binding: {ifaceId: web-1}
"""


def endpoint(name, network, tier, *addresses):
    number = int(ip_address(addresses[0])) & 0xFF
    return Endpoint(
        name=name,
        network=network,
        labels={"tier": tier, "ringfence/name": name, "ringfence/network": network},
        mac=f"02:00:00:00:00:{number:02x}",
        addresses=tuple(map(ip_address, addresses)),
        ports=(NamedPort("http", 6, 8000),) if tier == "app" else (),
        location=Location(1, number, f"v{number}", f"uid-{number}"),
    )


def inventory():
    endpoints = [
        endpoint("web-1", "shop", "web", "10.1.0.1"),
        endpoint("app-1", "shop", "app", "10.1.0.2", "fd00:1::2"),
        endpoint("pc-1", "office", "pc", "10.1.0.3"),
    ]
    return Inventory(
        endpoints={e.name: e for e in endpoints},
        unaddressed=(UnaddressedPort("new-1", "shop", "02:00:00:00:00:09", Location(1, 9, "v9", "uid-9")),),
        reports=(Report("endpoint x", "its address is that of web-1", "give it its own"),),
    )


@dataclasses.dataclass
class World:
    """Every port but the store, as values that a test sets."""

    switch_list: list[SwitchStatus] = dataclasses.field(default_factory=list)
    failed: dict[tuple[str, str], str] = dataclasses.field(default_factory=dict)
    waits: list[tuple[int, float]] = dataclasses.field(default_factory=list)
    reported: list[BaseException] = dataclasses.field(default_factory=list)
    breaths: int = 0
    present: Inventory = dataclasses.field(default_factory=inventory)

    def switches(self):
        return self.switch_list

    def failures(self):
        return self.failed

    def current(self):
        return self.present

    def offsets(self, zones, now):
        return dict.fromkeys(zones, timedelta(0))

    def now(self):
        return NOW

    def wait(self, revision, timeout_s):
        self.waits.append((revision, timeout_s))
        self.switch_list = [dataclasses.replace(s, revision=revision) for s in self.switch_list]

    def breathe(self):
        self.breaths += 1

    def hits(self):
        return [Hit("web-to-app", "r", "egress", 3, 300), Hit("web-to-app", "r", "ingress", 2, 200)]

    def drops(self):
        return [Drop("posture shop", 5, 500), Drop("guard source", 1, 60)]

    def tallies(self):
        return [Tally("", "", "allow", "deny", 7, 2), Tally("strict", "r", "allow", "deny", 7, 2)]

    def report(self, error):
        self.reported.append(error)


class Api:
    """A client with the token, the store behind it and the world around it."""

    def __init__(self, path, limits=None, **ports):
        self.store = Store(path / "store.db")
        self.world = World()
        ports = Ports(self.store, *(self.world,) * 6, **ports)
        self.app = make_app(ports, token=TOKEN, limits=limits or Limits(), version="1.2.3")
        self.client = falcon.testing.TestClient(self.app, headers={"Authorization": f"Bearer {TOKEN}"})

    def apply(self, text, **query):
        return self.client.simulate_post("/v1/apply", body=text, params=query)

    def get(self, path, **query):
        return self.client.simulate_get(path, params=query)

    def contents(self):
        """Everything a refused request must leave as it was, to the byte."""
        tables = ("documents", "revisions", "changes", "state")
        rows = [list(self.store._database.execute(f"SELECT * FROM {table}")) for table in tables]
        return self.store.revision, rows


def switch(dpid, revision, **more):
    return SwitchStatus(dpid=dpid, bridge="br-ring", host="tcp:h", connected=True, revision=revision, **more)

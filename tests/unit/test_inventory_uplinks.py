"""Which port is an uplink, where its packets go next, and what is reported."""

import dataclasses
from ipaddress import ip_address

from intent.inventory import build
from intent.inventory.uplinks import Uplinks
from intent.model import Binding, Intents, Network, PortForward, Router, Uplink
from tests.unit.site_kit import bridge, site_of, uid
from topology.events import InterfaceRow, PortRow
from topology.model import Forward, Location, Translation
from topology.packet import TCP


def row(number, name="up0", **parts):
    return InterfaceRow(uid(number), name, ofport=number, **parts)


def plugged(*rows):
    ports = [PortRow(uid(100 + r.ofport), r.name, frozenset({r.uid})) for r in rows]
    return site_of(bridge({r.ofport for r in rows}), *ports, *rows)


def made(*rows, next_hop=None, binding=None):
    uplink = Uplink("world", binding or Binding(iface_id="way"), next_hop)
    return build(plugged(*rows), Intents({"n": Network("n")}, uplinks={"world": uplink}), {}, {}).inventory


WAY = {"iface-id": "way"}


def test_an_internal_port_leads_to_the_host_that_has_its_mac():
    (port,) = made(row(7, type="internal", mac_in_use="02:00:00:00:00:0A", external_ids=WAY)).uplinks
    assert (port.name, port.location.ofport, port.next_hop) == ("world", 7, "02:00:00:00:00:0a")
    assert port.attachment == f"{uid(7)}/uplink/world"


def test_another_port_needs_a_next_hop():
    inventory = made(row(7, mac_in_use="02:00:00:00:00:0a", external_ids=WAY))
    assert not inventory.uplinks
    (report,) = inventory.reports
    assert (report.subject, "nextHop" in report.remedy) == ("uplink world", True)
    assert made(row(7, external_ids=WAY), next_hop="02:00:00:00:00:0b").uplinks


def test_an_uplink_is_no_endpoint_whatever_its_row_says():
    ids = {**WAY, "attached-mac": "02:00:00:00:00:01", "ringfence:network": "n", "ringfence:ip": "10.0.0.1"}
    inventory = made(row(7, external_ids=ids), next_hop="02:00:00:00:00:0b")
    assert inventory.uplinks
    assert not inventory.endpoints


def test_of_two_ports_on_one_switch_the_first_stays_and_the_other_is_reported():
    rows = row(8, "up1", external_ids=WAY), row(7, "up0", external_ids=WAY)
    inventory = made(*rows, next_hop="02:00:00:00:00:0b")
    assert [p.location.interface for p in inventory.uplinks] == ["up0"]
    assert "up1" in inventory.reports[0].problem


def test_one_that_is_not_plugged_in_is_reported():
    inventory = made(binding=Binding(bridge="br-x", interface="up0"))
    assert [dataclasses.astuple(r)[0] for r in inventory.reports] == ["uplink world"]
    assert "br-x/up0" in inventory.reports[0].problem


SHOWN, TARGET = ip_address("203.0.113.1"), ip_address("10.0.0.1")


def test_a_forward_to_an_endpoint_follows_its_address_and_holds_its_own_without_it():
    forwards = (PortForward(SHOWN, TCP, 8443, 8443, "a", 443),)
    uplink = Uplink("world", Binding(iface_id="way"), "02:00:00:00:00:0b", forwards=forwards)
    routers = {"edge": Router("edge", ("n",), "02:52:00:00:00:01", "world")}
    intents = Intents({"n": Network("n")}, uplinks={"world": uplink}, routers=routers)
    ids = {"iface-id": "a", "attached-mac": "02:00:00:00:00:01", "ringfence:network": "n", "ringfence:ip": str(TARGET)}
    way, endpoint = row(7, external_ids=WAY), row(8, "v8", external_ids=ids)
    (with_it,) = build(plugged(way, endpoint), intents, {}, {}).inventory.uplinks
    (without,) = build(plugged(way), intents, {}, {}).inventory.uplinks
    assert with_it.translation == Translation((), (Forward(SHOWN, TCP, 8443, 8443, TARGET, 443),))
    assert without.translation == Translation(idle=(SHOWN,))
    assert with_it.translation.covers(4)
    assert without.translation.covers(4)
    assert not with_it.translation.covers(6)


def test_one_that_translates_works_on_one_switch_and_the_others_are_reported():
    uplink = Uplink("world", Binding(iface_id="way"), "02:00:00:00:00:0b", snat=(SHOWN,))
    found = Uplinks(Intents({"n": Network("n")}, uplinks={"world": uplink}))
    for dpid in (9, 3):
        found.take(uplink, row(7, external_ids=WAY), Location(dpid, 7, "up0", f"row-{dpid}"))
    assert [port.location.dpid for port in found.ports()] == [3]
    (report,) = found.reports()
    assert "0000000000000009" in report.problem


def test_a_forward_to_an_endpoint_that_is_not_behind_the_uplink_leads_nowhere():
    """It may bear the uplink's own address, and a translation that changes nothing aborts Open vSwitch."""
    forwards = (PortForward(SHOWN, TCP, 8443, 8443, "a", None),)
    uplink = Uplink("world", Binding(iface_id="way"), "02:00:00:00:00:0b", forwards=forwards)
    routers = {"edge": Router("edge", ("n",), "02:52:00:00:00:01", "world")}
    intents = Intents({"n": Network("n"), "other": Network("other")}, uplinks={"world": uplink}, routers=routers)
    ids = {
        "iface-id": "a",
        "attached-mac": "02:00:00:00:00:01",
        "ringfence:network": "other",
        "ringfence:ip": str(SHOWN),
    }
    site = plugged(row(7, external_ids=WAY), row(8, "v8", external_ids=ids))
    built = build(site, intents, {}, {})
    assert built.inventory.endpoints["a"].addresses == (SHOWN,)
    (port,) = built.inventory.uplinks
    assert port.translation == Translation(idle=(SHOWN,))

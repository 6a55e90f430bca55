"""Which port is an uplink, where its packets go next, and what is reported."""

import dataclasses

from intent.inventory import build
from intent.model import Binding, Intents, Network, Uplink
from tests.unit.site_kit import bridge, site_of, uid
from topology.events import InterfaceRow, PortRow


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

"""Who is in the inventory, who is left out, and what the operator is told."""

from __future__ import annotations

import random
from ipaddress import ip_address, ip_network

import pytest

from intent.inventory import Grants, build, dump_claims, load_claims
from intent.model import Binding, EndpointIntent, Intents, Network
from tests.unit.site_kit import HOST, INTENTS, bridge, interface, port, site_of, uid
from topology.events import HostResynced, InterfaceRow, RefusedRow, RowsChanged
from topology.model import NamedPort
from topology.site import empty_site, reduce


def plugged(*interfaces: InterfaceRow):
    numbers = {int(row.name[1:]) for row in interfaces}
    return site_of(bridge(numbers), *map(port, numbers), *interfaces)


def with_documents(*documents: EndpointIntent, **network: object) -> Intents:
    shop = Network("shop", subnets=(ip_network("10.0.0.0/8"),), **network)  # type: ignore[arg-type]
    return Intents(networks={"shop": shop}, endpoints={d.name: d for d in documents})


def made(site, intents=INTENTS, claims=None):
    return build(site, intents, claims or {}, {})


def problems(built) -> str:
    return "\n".join(f"{r.subject}: {r.problem}" for r in built.inventory.reports)


# -- one row ---------------------------------------------------------------------------------------


def test_a_row_says_everything():
    ids = {"ringfence:label/app": "shop", "ringfence:label/example.org/tier": "web", "ringfence:port/http": "tcp/80"}
    row = interface(1)
    row = InterfaceRow(row.uid, row.name, ofport=5, external_ids={**row.external_ids, **ids, "vm-id": "x"})
    built = made(plugged(row))
    endpoint = built.inventory.endpoints["e1"]
    assert endpoint.network == "shop"
    assert endpoint.mac == "02:00:00:00:00:01"
    assert endpoint.addresses == (ip_address("10.0.0.1"),)
    assert endpoint.ports == (NamedPort("http", 6, 80),)
    assert endpoint.labels == {
        "app": "shop",
        "example.org/tier": "web",
        "ringfence/network": "shop",
        "ringfence/name": "e1",
    }
    assert (endpoint.location.dpid, endpoint.location.ofport) == (1, 5)
    assert endpoint.attachment == f"{uid(1)}/e1"
    assert built.inventory.reports == ()


def test_several_addresses_come_sorted_and_once():
    row = interface(1, ringfence_ip="fd00::1, 10.0.0.9 10.0.0.1,10.0.0.9")
    networks = {"shop": Network("shop")}
    built = made(plugged(row), Intents(networks=networks))
    assert [str(a) for a in built.inventory.endpoints["e1"].addresses] == ["10.0.0.1", "10.0.0.9", "fd00::1"]


def test_the_interface_names_an_endpoint_without_iface_id():
    row = interface(1)
    ids = {key: value for key, value in row.external_ids.items() if key != "iface-id"}
    built = made(plugged(InterfaceRow(uid(1), "v1", ofport=1, external_ids=ids)))
    assert set(built.inventory.endpoints) == {"v1"}


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("ringfence:ip", "10.0.0.300", "no IP address"),
        ("ringfence:ip", "224.0.0.1", "no address that one host"),
        ("ringfence:ip", "127.0.0.1", "no address that one host"),
        ("ringfence:ip", "0.0.0.0", "no address that one host"),
        ("ringfence:ip", "255.255.255.255", "no address that one host"),
        ("ringfence:ip", "ff02::1", "no address that one host"),
        ("ringfence:ip", "::1", "no address that one host"),
        ("ringfence:ip", "::ffff:10.0.0.1", "no address that one host"),
        ("ringfence:ip", "fe80::1%eth0", "no address that one host"),
        ("ringfence:ip", "192.0.2.1", "outside the subnets"),
        ("ringfence:ip", "", "no address"),
        ("ringfence:ip", ",".join(f"10.0.1.{n}" for n in range(65)), "over 64"),
        ("ringfence:network", "nope", "no network 'nope'"),
        ("ringfence:network", "", "names no network"),
        ("attached-mac", "", "no MAC"),
        ("attached-mac", "03:00:00:00:00:01", "group bit"),
        ("attached-mac", "00:00:00:00:00:00", "all zeros"),
        ("attached-mac", "02:00:00:00:00", "no MAC"),
        ("ringfence:label/app", "not a value", "no value for label"),
        ("ringfence:label/-app", "x", "no label key"),
        ("ringfence:port/http", "tcp/0", "must be like tcp/80"),
        ("ringfence:port/http", "tcp/70000", "must be like tcp/80"),
        ("ringfence:port/HTTP", "tcp/80", "must be like tcp/80"),
        ("ringfence:lable/app", "shop", "did you mean ringfence:label/"),
        ("iface-id", "a b", "no endpoint name"),
        ("iface-id", "10.0.0.7", "looks like an address"),
        ("iface-id", "x" * 254, "no endpoint name"),
    ],
)
def test_a_bad_row_is_left_out_and_reported(key, value, word):
    row = interface(1)
    bad = InterfaceRow(row.uid, row.name, ofport=1, external_ids={**row.external_ids, key: value})
    built = made(plugged(bad, interface(2)))
    assert set(built.inventory.endpoints) == {"e2"}
    assert word in problems(built)
    assert all(report.remedy for report in built.inventory.reports)


def test_too_many_labels_or_ports_are_left_out():
    for prefix, value in (("label/l", "x"), ("port/p", "tcp/80")):
        ids = {f"ringfence:{prefix}{n}": value for n in range(65)}
        built = made(plugged(InterfaceRow(uid(1), "v1", ofport=1, external_ids={**interface(1).external_ids, **ids})))
        assert not built.inventory.endpoints
        assert "over 64" in problems(built)


def test_implied_labels_cannot_be_set():
    row = interface(1)
    ids = {**row.external_ids, "ringfence:label/ringfence/name": "admin", "ringfence:label/ringfence/other": "x"}
    document = EndpointIntent("web", Binding(iface_id="e2"), labels={"ringfence/network": "other"})
    site = plugged(InterfaceRow(uid(1), "v1", ofport=1, external_ids=ids), interface(2))
    built = made(site, with_documents(document))
    assert built.inventory.endpoints["e1"].labels == {"ringfence/name": "e1", "ringfence/network": "shop"}
    assert built.inventory.endpoints["web"].labels["ringfence/network"] == "shop"
    assert problems(built).count("cannot be set") == 3


def test_a_port_without_identity_is_reported():
    built = made(plugged(InterfaceRow(uid(1), "v1", ofport=1)))
    assert not built.inventory.endpoints
    assert "interface br/v1: the port has no known identity" in problems(built)


@pytest.mark.parametrize("ofport", [None, -1, 0, 65534, 65280])
def test_without_a_port_number_it_is_not_plugged_in(ofport):
    row = interface(1)
    row = InterfaceRow(row.uid, row.name, ofport=ofport, error="no such device", external_ids=row.external_ids)
    built = made(plugged(row))
    assert not built.inventory.endpoints
    assert not built.claims
    assert "cannot open the device: no such device" in problems(built)


def test_only_ports_of_our_bridges_count():
    site = site_of(bridge({1}, owner="you"), port(1), interface(1))
    assert made(site).inventory.endpoints == {}
    assert made(site).inventory.reports == ()


def test_a_refused_row_is_reported():
    built = made(site_of(RefusedRow(uid(1), "Interface", "v1", "name too long")))
    assert "interface v1: on unix:db: name too long" in problems(built)


# -- rows and documents ----------------------------------------------------------------------------


@pytest.mark.parametrize("binding", [Binding(iface_id="e1"), Binding(bridge="br", interface="v1")])
def test_a_document_wins_field_by_field_and_label_by_label(binding):
    document = EndpointIntent(
        "web-1",
        binding,
        network="shop",
        labels={"app": "shop", "tier": "web"},
        mac="02:00:00:00:00:AA",
        addresses=(ip_address("10.0.0.77"),),
        ports=(NamedPort("http", 6, 8080),),
    )
    ids = {
        **interface(1).external_ids,
        "ringfence:label/app": "other",
        "ringfence:label/zone": "a",
        "ringfence:port/http": "tcp/80",
        "ringfence:port/dns": "udp/53",
    }
    built = made(plugged(InterfaceRow(uid(1), "v1", ofport=1, external_ids=ids)), with_documents(document))
    endpoint = built.inventory.endpoints["web-1"]
    assert set(built.inventory.endpoints) == {"web-1"}
    assert (endpoint.mac, endpoint.addresses) == ("02:00:00:00:00:aa", (ip_address("10.0.0.77"),))
    assert {k: endpoint.labels[k] for k in ("app", "tier", "zone")} == {"app": "shop", "tier": "web", "zone": "a"}
    assert endpoint.ports == (NamedPort("dns", 17, 53), NamedPort("http", 6, 8080))
    assert "label app is 'shop' by its document; 'other' of the row loses" in problems(built)
    assert "different MAC" in problems(built)
    assert "different addresses" in problems(built)
    assert "network;" not in problems(built)


def test_what_a_document_leaves_out_comes_from_the_row():
    built = made(plugged(interface(1)), with_documents(EndpointIntent("web-1", Binding(iface_id="e1"))))
    endpoint = built.inventory.endpoints["web-1"]
    assert (endpoint.network, endpoint.mac, endpoint.addresses) == (
        "shop",
        "02:00:00:00:00:01",
        (ip_address("10.0.0.1"),),
    )


def test_a_document_without_a_port_is_reported():
    by_port = EndpointIntent("web-2", Binding(bridge="br", interface="v7"))
    built = made(plugged(interface(1)), with_documents(EndpointIntent("web-1", Binding(iface_id="zz")), by_port))
    assert "endpoint web-1: no port of ours is iface-id zz" in problems(built)
    assert "endpoint web-2: no port of ours is br/v7" in problems(built)


def test_a_row_cannot_take_the_name_of_a_document_that_binds_another_port():
    document = EndpointIntent("e1", Binding(bridge="br", interface="v2"), addresses=(ip_address("10.0.0.7"),))
    for site in (plugged(interface(1)), plugged(interface(1), interface(2))):
        built = made(site, with_documents(document), made(plugged(interface(1))).claims)
        assert all(e.location.interface == "v2" for e in built.inventory.endpoints.values())
        assert "interface br/v1: it calls itself e1" in problems(built)


# -- disputes --------------------------------------------------------------------------------------


def rival(number: int, **ids: str) -> InterfaceRow:
    return interface(number, **{"ofport": 30, **ids})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ids", "word"),
    [
        ({"ringfence_ip": "10.0.0.9,10.0.0.1"}, "10.0.0.1 in network shop is held by endpoint e1"),
        ({"attached-mac": "02:00:00:00:00:01"}, "02:00:00:00:00:01 in network shop is held by endpoint e1"),
        ({"iface-id": "e1"}, "name e1 is held by endpoint e1"),
        ({"ofport": 1}, "port 0000000000000001/1 is held by endpoint e1"),
    ],
)
def test_the_first_holder_keeps_it_and_the_other_is_left_out_wholly(ids, word):
    first = made(plugged(interface(1)))
    both = plugged(interface(1), rival(0, **ids))
    built = made(both, claims=load_claims(dump_claims(first.claims)))
    assert [e.location.uid for e in built.inventory.endpoints.values()] == [uid(1)]
    assert word in problems(built)
    assert set(built.claims.values()) == {f"{uid(1)}/e1"}
    gone = made(plugged(rival(0, **ids)), claims=built.claims)
    assert [e.location.uid for e in gone.inventory.endpoints.values()] == [uid(0)]
    again = made(both, claims=gone.claims)
    assert [e.location.uid for e in again.inventory.endpoints.values()] == [uid(0)]


def test_two_documents_on_one_port_and_one_document_on_two_ports():
    two = with_documents(EndpointIntent("b", Binding(iface_id="e1")), EndpointIntent("a", Binding("e1")))
    built = made(plugged(interface(1)), two)
    assert set(built.inventory.endpoints) == {"a"}
    assert "endpoint b: port 0000000000000001/1 is held by endpoint a" in problems(built)
    one = with_documents(EndpointIntent("a", Binding(iface_id="same")))
    built = made(plugged(interface(1, **{"iface-id": "same"}), interface(2, **{"iface-id": "same"})), one)
    assert built.inventory.endpoints["a"].location.uid == uid(1)
    assert "endpoint a: name a is held by endpoint a (interface row 00000001" in problems(built)


def test_an_address_may_be_used_once_in_each_network():
    networks = {**INTENTS.networks, "other": Network("other")}
    twin = interface(2, ringfence_ip="10.0.0.1", ringfence_network="other", **{"attached-mac": "02:00:00:00:00:01"})
    assert set(made(plugged(interface(1), twin), Intents(networks=networks)).inventory.endpoints) == {"e1", "e2"}


def test_a_claim_is_dropped_when_its_holder_wants_it_no_more():
    first = made(plugged(interface(1)))
    swapped = plugged(interface(1, ringfence_ip="10.0.0.50"), rival(2, ringfence_ip="10.0.0.1"))
    moved = made(swapped, claims=first.claims)
    assert set(moved.inventory.endpoints) == {"e1", "e2"}


def test_a_holder_that_loses_another_dispute_keeps_what_it_held():
    first = made(plugged(interface(1), interface(2)))
    greedy = interface(1, ringfence_ip="10.0.0.1,10.0.0.2")
    built = made(plugged(greedy, interface(2), interface(3, ringfence_ip="10.0.0.1")), claims=first.claims)
    assert set(built.inventory.endpoints) == {"e2"}
    assert "endpoint e3: 10.0.0.1 in network shop is held by endpoint e1" in problems(built)


def test_claims_of_hosts_not_heard_of_yet_hold():
    first = made(plugged(interface(1)))
    waiting = reduce(
        empty_site("me", [HOST, "unix:late"]),
        HostResynced(HOST, (bridge({2}), port(2), interface(2, ringfence_ip="10.0.0.1"))),
    )
    built = made(waiting, claims=first.claims)
    assert not built.inventory.endpoints
    assert set(first.claims.items()) <= set(built.claims.items())
    heard = reduce(waiting, HostResynced("unix:late", ()))
    assert set(made(heard, claims=built.claims).inventory.endpoints) == {"e2"}


def test_the_order_of_rows_does_not_decide_a_dispute():
    rows = [interface(n, ringfence_ip=f"10.0.0.{1 + n % 3}") for n in range(1, 9)]
    expected = made(plugged(*rows))
    for seed in range(20):
        shuffled = random.Random(seed).sample(rows, len(rows))
        assert made(plugged(*shuffled)) == expected


# -- ports that come, move and go ------------------------------------------------------------------


def test_it_follows_rename_renumbering_deletion_and_a_new_row():
    site = plugged(interface(1))
    built = made(site)
    steps = [
        (RowsChanged(HOST, rows=(interface(1, ofport=9),)), {"e1": 9}),
        (RowsChanged(HOST, rows=(interface(1, ofport=9, **{"iface-id": "renamed"}),)), {"renamed": 9}),
        (RowsChanged(HOST, rows=(bridge(set()),), gone=(uid(1), uid(101))), {}),
        (RowsChanged(HOST, rows=(bridge({2}), port(2), interface(2, **{"iface-id": "e1"}))), {"e1": 2}),
    ]
    seen = [built.inventory.endpoints["e1"].attachment]
    for event, expected in steps:
        site = reduce(site, event)
        built = made(site, claims=built.claims)
        assert {e.name: e.location.ofport for e in built.inventory.endpoints.values()} == expected
        assert set(built.claims.values()) == {e.attachment for e in built.inventory.endpoints.values()}
        seen.extend(e.attachment for e in built.inventory.endpoints.values())
    assert seen == [f"{uid(1)}/e1", f"{uid(1)}/e1", f"{uid(1)}/renamed", f"{uid(2)}/e1"]


def test_stored_claims_that_are_none_are_refused():
    assert load_claims(None) == {}
    for data in (b"{}", b"[[1,2,3]]", b"[", b"[3]"):
        with pytest.raises(ValueError, match=r".+"):
            load_claims(data)


def test_a_row_sets_only_the_label_keys_it_is_granted():
    """A source sets only the keys the config grants it; a key it may not set is ignored and reported."""
    grants = Grants(("*", "!tier", "!k8s/*", "k8s/public"))
    wanted = {"app": True, "tier": False, "k8s/namespace": False, "k8s/public": True, "x.k8s/namespace": True}
    assert {key: grants.allow(key) for key in wanted} == wanted
    assert not Grants(()).allow("app")
    row = interface(1)
    labels = {"ringfence:label/app": "web", "ringfence:label/tier": "admin"}
    row = InterfaceRow(row.uid, row.name, ofport=1, external_ids={**row.external_ids, **labels})
    built = build(plugged(row), INTENTS, {}, {}, grants)
    (endpoint,) = built.inventory.endpoints.values()
    assert endpoint.labels["app"] == "web"
    assert "tier" not in endpoint.labels
    assert any("'tier'" in report.problem for report in built.inventory.reports)

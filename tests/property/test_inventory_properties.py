"""Whatever rows come and go: nobody shares anything, nobody is displaced but by a newer place of
its own, and history is only in the claims."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from intent.inventory import build, dump_claims, load_claims
from tests.unit.site_kit import HOST, INTENTS, bridge, interface, port
from topology.events import HostResynced, RowsChanged
from topology.site import empty_site, reduce

NUMBERS = range(1, 7)
few = st.sampled_from(NUMBERS)
rows = st.builds(
    lambda n, ofport, last, mac, name: interface(
        n,
        ofport=ofport,
        ringfence_ip=f"10.0.0.{last}",
        **{"attached-mac": f"02:00:00:00:00:{mac:02x}", "iface-id": f"e{name}"},
    ),
    *[few] * 5,
)
changes = st.one_of(
    st.builds(lambda row: RowsChanged(HOST, rows=(row,)), rows),
    st.builds(lambda row: RowsChanged(HOST, gone=(row.uid,)), rows),
)


@settings(max_examples=150)
@given(st.lists(changes, max_size=15))
def test_first_holders_stay_and_nobody_shares(events):
    site = reduce(empty_site("me", [HOST]), HostResynced(HOST, (bridge(set(NUMBERS)), *map(port, NUMBERS))))
    built = build(site, INTENTS, {}, {})
    for event in events:
        after_site = reduce(site, event)
        after = build(after_site, INTENTS, load_claims(dump_claims(built.claims)), {})
        untouched = {i.uid for i in site.interfaces() if i in after_site.interfaces()}
        moved = {
            e.name
            for e in built.inventory.endpoints.values()
            if (now := after.inventory.endpoints.get(e.name))
            and (now.mac, now.addresses) == (e.mac, e.addresses)
            and now.location.uid not in untouched
        }
        settled = {
            e.attachment
            for e in built.inventory.endpoints.values()
            if e.location.uid in untouched and e.name not in moved
        }
        assert settled <= {e.attachment for e in after.inventory.endpoints.values()}
        assert build(after_site, INTENTS, after.claims, {}) == after
        check_nothing_is_shared(after)
        site, built = after_site, after


def check_nothing_is_shared(built) -> None:
    endpoints = list(built.inventory.endpoints.values())
    for things in (
        [(e.network, address) for e in endpoints for address in e.addresses],
        [(e.network, e.mac) for e in endpoints],
        [(e.location.dpid, e.location.ofport) for e in endpoints],
        [e.location.uid for e in endpoints],
    ):
        assert len(set(things)) == len(things)
    assert set(built.claims.values()) >= {e.attachment for e in endpoints}

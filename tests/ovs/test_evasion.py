"""Nothing that policy forbids comes out of a real bridge, however it is wrapped; what it allows does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.ovs.crafting_bench import Attack, Bench
from tests.ovs.crafting_connections import CONNECTIONS
from tests.ovs.crafting_fragments import FRAGMENTS
from tests.ovs.crafting_headers import HEADERS
from tests.ovs.crafting_identities import IDENTITIES

if TYPE_CHECKING:
    from collections.abc import Iterator

ATTACKS = sorted((*FRAGMENTS, *HEADERS, *CONNECTIONS, *IDENTITIES), key=lambda attack: attack.site)


@pytest.fixture(scope="module")
def bench(session_ovs, session_janitor) -> Iterator[Bench]:
    name = session_janitor.fresh("e")
    session_ovs.vsctl("add-br", name, "--", "set", "bridge", name, "datapath_type=netdev", "fail_mode=secure")
    bench = Bench(session_ovs, name)
    yield bench
    bench.close()
    session_ovs.check()
    session_ovs.vsctl("del-br", name)


@pytest.mark.parametrize("attack", ATTACKS, ids=[f"{a.site}-{a.name}".replace(" ", "-") for a in ATTACKS])
def test_the_marker_comes_out_where_policy_says(bench: Bench, attack: Attack) -> None:
    marker = f"<{ATTACKS.index(attack):04d}-ringfence>".encode()
    seen = bench.run(attack, marker)
    assert seen.marked == attack.sees, attack.why
    assert seen.foretold in {None, attack.sees}, attack.why

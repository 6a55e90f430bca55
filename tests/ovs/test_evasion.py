"""Nothing that policy forbids comes out of a real bridge, however it is wrapped; what it allows does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.ovs.crafting_bench import Attack, Bench
from tests.ovs.crafting_connections import CONNECTIONS
from tests.ovs.crafting_fragments import FRAGMENTS
from tests.ovs.crafting_headers import HEADERS
from tests.ovs.crafting_identities import IDENTITIES

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parent.parent.parent
LIMITS = PROJECT / "docs" / "limits.md"
ATTACKS = sorted((*FRAGMENTS, *HEADERS, *CONNECTIONS, *IDENTITIES), key=lambda attack: attack.site)


def case_name(attack: Attack) -> str:
    return f"{attack.site}-{attack.name}".replace(" ", "-")


def shown_by() -> list[str]:
    """What the last column of the tables of limits names."""
    rows = (line for line in LIMITS.read_text().splitlines() if line.startswith("| "))
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row.rsplit("|", 2)[1])]


@pytest.fixture(scope="module")
def bench(session_ovs, session_janitor) -> Iterator[Bench]:
    name = session_janitor.fresh("e")
    session_ovs.vsctl("add-br", name, "--", "set", "bridge", name, "datapath_type=netdev", "fail_mode=secure")
    bench = Bench(session_ovs, name)
    yield bench
    bench.close()
    session_ovs.check()
    session_ovs.vsctl("del-br", name)


@pytest.mark.parametrize("attack", ATTACKS, ids=[case_name(a) for a in ATTACKS])
def test_the_marker_comes_out_where_policy_says(bench: Bench, attack: Attack) -> None:
    marker = f"<{ATTACKS.index(attack):04d}-ringfence>".encode()
    seen = bench.run(attack, marker)
    assert seen.marked == attack.sees, attack.why
    assert seen.foretold in {None, attack.sees}, attack.why


def test_every_limit_is_shown_by_an_attack_or_by_a_test_of_its_own() -> None:
    names = [case_name(attack) for attack in ATTACKS]
    assert len(set(names)) == len(names)
    assert shown_by()
    unnamed = [shown for shown in shown_by() if not any(shown in name for name in names)]
    assert [shown for shown in unnamed if not (shown.endswith(".py") and (PROJECT / shown).is_file())] == []

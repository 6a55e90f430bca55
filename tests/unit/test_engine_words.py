"""The set of prefixes finds those around and inside another, v4 and v6, as a look at each would."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from hypothesis import given
from hypothesis import strategies as st

from intent.compiler.engine.words import Prefixes

PREFIXES = st.one_of(
    st.builds(lambda a, n: IPv4Network((a << 24, n), strict=False), st.integers(0, 15), st.integers(0, 9)),
    st.builds(lambda a, n: IPv6Network((a << 120, n), strict=False), st.integers(0, 15), st.integers(0, 9)),
)


@given(st.sets(PREFIXES), st.sets(PREFIXES), PREFIXES)
def test_prefixes_inside_and_around_another_are_found(kept, gone, asked):
    found = Prefixes()
    for prefix in kept | gone:
        found.add(prefix)
    for prefix in gone:
        found.discard(prefix)
    same = {prefix for prefix in kept - gone if prefix.version == asked.version}
    inside, holding = list(found.inside(asked)), list(found.holding(asked))
    assert len(inside) == len(set(inside))
    assert set(inside) == {prefix for prefix in same if prefix.subnet_of(asked)}
    assert holding == sorted((p for p in same if asked.subnet_of(p)), key=lambda p: -p.prefixlen)

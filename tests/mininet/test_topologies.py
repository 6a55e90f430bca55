"""Mininet's linear and tree topologies, a ring and a fat tree: all by OpenFlow alone, every cell as the policies say.

A link goes down under traffic (`configLinkStatus`): what need not pass it loses nothing, what can turn is turned.
"""

import pytest

from tests.mininet import sandboxed

SIZES = {"linear": (4, 3, 8), "tree": (4, 3, 9), "ring": (4, 4, 4), "fat_tree": (20, 32, 8)}
"""Switches, links and hosts."""
PORTS = 2
TURNED_MS = 1000
"""Outage of traffic that is turned, with room for a busy machine; `tests/ovs` proves how short it is."""


@pytest.mark.parametrize("name", SIZES)
def test_a_topology_of_mininet_is_a_fabric(name):
    found = sandboxed.found("topo_inside", name)
    switches, links, hosts = SIZES[name]
    assert (found["switches"], found["links"], found["problems"]) == (switches, links, [])
    assert found["unintended"] == []
    assert found["cells"] == 2 * PORTS * hosts * (hosts - 1)
    assert 0 < found["open"] < found["cells"]
    assert found["sent"] > 200
    if name in {"linear", "tree"}:
        assert found["lost"] == 0
    else:
        assert found["outage_ms"] < TURNED_MS

"""The scenarios' topologies, and fabrics that Mininet does not have, for Mininet's own command.

    mn --custom mininet_scenarios/topologies.py --topo ringfence_three_tier --controller remote

`ringfence run` must manage the Open vSwitch that `mn` uses; it makes the bridge, `mn` plugs the hosts.
"""

import functools
import inspect
import sys
from pathlib import Path

# `mn` executes this file's text, so there is neither `__file__` nor a package around it.
_HERE = Path(inspect.currentframe().f_code.co_filename).resolve()  # type: ignore[union-attr]  # CPython has frames
if str(_HERE.parent.parent) not in sys.path:
    sys.path.append(str(_HERE.parent.parent))

from mininet_scenarios.mininet_fabric import TOPOLOGIES  # noqa: E402 - needs the path above
from mininet_scenarios.nodes import ScenarioTopo  # noqa: E402
from mininet_scenarios.scenario import load, names  # noqa: E402


def _topology(name: str) -> ScenarioTopo:
    return ScenarioTopo(scenario=load(name))


topos: dict[str, object] = {f"ringfence_{name}": functools.partial(_topology, name) for name in names()}
topos |= {f"ringfence_{name}": make for name, make in TOPOLOGIES.items()}

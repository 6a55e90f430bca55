"""The rows there are, in the order of `make bench`: name -> a function that yields results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from benchmarks.harness import Result
from benchmarks.page import ORDER
from benchmarks.rows.attach import new_endpoint
from benchmarks.rows.builds import cold_build, three_tiers
from benchmarks.rows.datapath_row import datapath
from benchmarks.rows.flood_row import packet_in
from benchmarks.rows.hosts_row import hosts
from benchmarks.rows.joins import membership
from benchmarks.rows.lag_row import enforce_lag
from benchmarks.rows.masks_row import masks
from benchmarks.rows.policies import policy_change
from benchmarks.rows.restart_row import restart
from benchmarks.rows.scale_row import scale
from benchmarks.rows.stalls import commit_stall
from benchmarks.rows.storms import churn_storm
from benchmarks.rows.top_row import top
from benchmarks.rows.ways_row import ways
from benchmarks.rows.wire_row import wire

_ROWS: Mapping[str, Callable[[], Iterator[Result]]] = {
    "wire": wire,
    "three_tier": three_tiers,
    "cold_build": cold_build,
    "membership": membership,
    "policy_change": policy_change,
    "enforce_lag": enforce_lag,
    "commit_stall": commit_stall,
    "new_endpoint": new_endpoint,
    "datapath": datapath,
    "restart": restart,
    "masks": masks,
    "churn_storm": churn_storm,
    "scale": scale,
    "ways": ways,
    "packet_in": packet_in,
    "top": top,
    "hosts": hosts,
}

ROWS = {name: _ROWS[name] for name in ORDER}

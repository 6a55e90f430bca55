"""The rows there are, in the order of `make bench`: name -> a function that yields results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from benchmarks.harness import Result
from benchmarks.rows.builds import cold_build, three_tiers
from benchmarks.rows.membership import membership
from benchmarks.rows.policies import policy_change
from benchmarks.rows.storms import churn_storm
from benchmarks.rows.wire_row import wire

ROWS: Mapping[str, Callable[[], Iterator[Result]]] = {
    "wire": wire,
    "three_tier": three_tiers,
    "cold_build": cold_build,
    "membership": membership,
    "policy_change": policy_change,
    "churn_storm": churn_storm,
}

"""The three tiers of Kubernetes, put among those that are there."""

from __future__ import annotations

from intent.model import DEFAULT_TIERS, MAX_TIERS
from intent.schema.documents import TierDoc, TiersDoc
from intent.schema.problems import Problem

ADMIN, NETWORK_POLICY, BASELINE = "k8s-admin", "kubernetes", "k8s-baseline"
TIERS = (ADMIN, NETWORK_POLICY, BASELINE)
"""In their order. Only the second isolates: whom a NetworkPolicy selects is denied what none allows."""
_BEFORE, _AFTER = "baseline", "application"
"""Between these two they stand where none of them is there yet."""


def merged_tiers(there: TiersDoc | None) -> TiersDoc | Problem | None:
    """Return the list of tiers with the three in it, None if it needs no change, or why it cannot be."""
    listed = [TierDoc(name=tier.name) for tier in DEFAULT_TIERS] if there is None else list(there.tiers)
    merged = list(listed)
    for name in TIERS:
        if name not in [tier.name for tier in merged]:
            merged.insert(_place(merged, name), TierDoc(name=name, isolating=name == NETWORK_POLICY))
    problem = _wrong(merged, there)
    if problem is not None or merged == listed:
        return problem
    tiers = [tier.model_dump(by_alias=True) for tier in merged]
    return TiersDoc.model_validate({"kind": "Tiers", "name": "default", "tiers": tiers})


def _place(tiers: list[TierDoc], name: str) -> int:
    """Return where a missing tier goes: beside its nearest kin, else between application and baseline."""
    names = [tier.name for tier in tiers]
    rank = TIERS.index(name)
    earlier = [names.index(kin) for kin in TIERS[:rank] if kin in names]
    if earlier:
        return earlier[-1] + 1
    later = [names.index(kin) for kin in TIERS[rank:] if kin in names]
    if later:
        return later[0]
    if _BEFORE in names and _AFTER not in names[names.index(_BEFORE) :]:
        return names.index(_BEFORE)
    return names.index(_AFTER) + 1 if _AFTER in names else len(names)


def _wrong(tiers: list[TierDoc], there: TiersDoc | None) -> Problem | None:
    ours = [tier for tier in tiers if tier.name in TIERS]
    message, remedy = "", ""
    if [tier.name for tier in ours] != list(TIERS):
        message, remedy = f"the tiers {', '.join(TIERS)} do not stand in this order", "put them in this order"
    elif [tier.name for tier in ours if tier.isolating] != [NETWORK_POLICY]:
        message, remedy = f"of {', '.join(TIERS)} exactly `{NETWORK_POLICY}` must be isolating", "correct `isolating`"
    elif len(tiers) > MAX_TIERS:
        message, remedy = f"with {', '.join(TIERS)} there are more than {MAX_TIERS} tiers", "take some away first"
    if not message:
        return None
    return (
        Problem("Tiers/default.tiers", message, remedy) if there is None else there.problem(("tiers",), message, remedy)
    )

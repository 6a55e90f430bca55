"""`learn`: take an address that a switch saw a port use, where the network allows it."""

from __future__ import annotations

from intent.inventory.checks import address_problem
from intent.inventory.values import Built, Learned, Learning, Sighting, address_key, attachment_of
from intent.model import Intents, Network
from topology.frozen import frozen
from topology.model import Endpoint, Report


def learn(learned: Learned, sighting: Sighting, intents: Intents, built: Built) -> Learning:
    """Return what is learned after a sighting; unchanged when it is old news or refused (with a report).

    A port holds at most `learn_limit` learned addresses; none that somebody else declares or holds.
    """
    network = intents.networks.get(sighting.port.network)
    if network is None or _is_known(learned, sighting):
        return Learning(learned)
    attachment = attachment_of(sighting.port.location, sighting.port.name)
    mine = learned.get(attachment, ())
    refusal = _refusal(sighting, network, len(mine)) or _taken(sighting, attachment, built)
    if refusal:
        return Learning(learned, Report(f"endpoint {sighting.port.name}", *refusal))
    return Learning(frozen(learned).but({attachment: (*mine, sighting.address)}))


def _is_known(learned: Learned, sighting: Sighting) -> bool:
    port = sighting.port
    held = port.addresses if isinstance(port, Endpoint) else ()
    return sighting.address in held or sighting.address in learned.get(attachment_of(port.location, port.name), ())


def _refusal(sighting: Sighting, network: Network, count: int) -> tuple[str, str] | None:
    if sighting.source not in network.learn:
        problem = f"{sighting.address} was seen by {sighting.source}, from which network {network.name} does not learn"
        return problem, f"declare the address, or add {sighting.source} to `learn` of the network"
    if wrong := address_problem(sighting.address, network):
        return f"not learned: {wrong}", f"correct the workload, or the subnets of network {network.name}"
    if count >= network.learn_limit:
        problem = f"it already has {count} learned addresses, so {sighting.address} was not learned"
        return problem, f"declare its addresses, or raise `learnLimit` of network {network.name}"
    return None


def _taken(sighting: Sighting, attachment: str, built: Built) -> tuple[str, str] | None:
    key = address_key(sighting.port.network, sighting.address)
    if key in built.declared:
        return f"{sighting.address} is declared for another endpoint", "correct the workload: it uses a wrong address"
    holder = built.claims.get(key, attachment)
    if holder != attachment:
        _, _, other = holder.partition("/")
        return f"{sighting.address} is held by endpoint {other}", "correct the workload: it uses a wrong address"
    return None

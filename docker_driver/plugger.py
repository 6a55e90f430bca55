"""Brings the controller's ports to what is joined and identified. One thread; others only wake it.

Level-triggered: each look starts from the state file, the Engine and the controller as they are. An endpoint
whose labels are not known has no port, so nothing of it reaches the switch. While the Engine or the
controller is away nothing is removed that may still be right: running containers keep their traffic.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from docker_driver.controller import ENDPOINT_KEY, Document, Ids
from docker_driver.engine import Attached
from docker_driver.errors import Refused
from docker_driver.labels import Container, Identity, Rules, identify
from docker_driver.looking import Looker, Pace, Troubles
from docker_driver.network import outer_name
from docker_driver.state import Endpoint, Network, State
from docker_driver.wishes import LABEL, network_document, published_tag

log = logging.getLogger("ringfence.docker.plugger")

PACE = Pace(look_s=30.0, first_retry_s=0.02, last_retry_s=2.0)
MAX_ASKED = 100
"""Containers asked for at once: their ids stand in the request's address."""


class EnginePort(Protocol):
    """What is asked of the Engine; `docker_driver.engine.Engine` is one."""

    def attached(self, network: str) -> Attached | None:
        """Return what hangs on a network."""

    def containers(self, uids: list[str]) -> dict[str, Container]:
        """Return containers by id."""


class ControllerPort(Protocol):
    """What is asked of the controller; `docker_driver.controller.Controller` is one."""

    def ports(self) -> dict[str, Ids]:
        """Return the driver's ports."""

    def put_port(self, name: str, ids: Ids) -> None:
        """Make a port right."""

    def delete_port(self, name: str) -> None:
        """Remove a port."""

    def ensure_network(self, document: Document) -> None:
        """Put a network's document if there is none."""


class Plugger(Looker):
    """Looks when woken, when something failed a moment ago, and every 30 s."""

    def __init__(self, state: State, engine: EnginePort, controller: ControllerPort, rules: Rules) -> None:
        """Nothing happens before `run`."""
        super().__init__(log, PACE)
        self._state = state
        self._engine = engine
        self._controller = controller
        self._rules = rules
        self.named: Callable[[], None] = _nothing
        """Called when a network's name became known."""
        self._identities: dict[str, Identity] = {}
        self._uids: dict[str, str] = {}
        """Container by endpoint, for who reads the port."""
        self._actual: dict[str, Ids] | None = None
        """The controller's ports as we left them; None where that is not known."""
        self._made: set[str] = set()
        """Networks whose document is there."""
        self._troubles = Troubles(log)

    def forget(self) -> None:
        """Ask for everything anew at the next look."""
        self._actual = None
        self._made.clear()

    def look(self) -> bool:
        """Bring the ports to what is known now; return whether everything that is joined is plugged in."""
        joined = {uid: e for uid, e in self._state.endpoints().items() if e.joined}
        for known in [uid for uid in self._identities if uid not in joined]:
            del self._identities[known]
            self._uids.pop(known, None)
        identified = self._troubles.attempt("the Engine", lambda: self._identify(joined))
        settled = self._troubles.attempt("the controller", lambda: self._settle(joined))
        if not settled:
            self._actual = None
        return identified and settled and len(self._identities) == len(joined)

    # -- who is who ----------------------------------------------------------------------------

    def _identify(self, joined: Mapping[str, Endpoint]) -> None:
        """Ask the Engine about the endpoints that nobody knows yet."""
        unknown = [e for uid, e in joined.items() if uid not in self._identities]
        for network in sorted({e.network for e in unknown}):
            self._identify_in(network, [e for e in unknown if e.network == network])

    def _identify_in(self, network: str, unknown: list[Endpoint]) -> None:
        attached, home = self._engine.attached(network), self._state.network(network)
        if attached is None or home is None:
            return
        if not home.name:
            home = dataclasses.replace(home, name=attached.name)
            self._state.put_network(home)
            self.named()
        found = {e.uid: attached.containers[e.uid] for e in unknown if e.uid in attached.containers}
        containers = self._containers(found.values())
        for endpoint in unknown:
            container = containers.get(found.get(endpoint.uid, ""))
            if container is not None:
                self._recognise(endpoint, container, home)

    def _containers(self, uids: Iterable[str]) -> dict[str, Container]:
        wanted, found = sorted(set(uids)), {}
        for start in range(0, len(wanted), MAX_ASKED):
            found.update(self._engine.containers(wanted[start : start + MAX_ASKED]))
        return found

    def _recognise(self, endpoint: Endpoint, container: Container, home: Network) -> None:
        identity = identify(container, home.name, endpoint.exposed, self._rules)
        self._identities[endpoint.uid], self._uids[endpoint.uid] = identity, container.uid
        for refused in identity.refused:
            log.warning("%s: label does not count: %s", identity.name, refused)

    # -- ports ---------------------------------------------------------------------------------

    def _settle(self, joined: Mapping[str, Endpoint]) -> None:
        """Remove what should not be, then make what should."""
        if self._actual is None:
            self._actual = self._controller.ports()
        actual = self._actual
        desired = self._desired(joined, actual)
        for name in sorted(set(actual) - set(desired)):
            self._controller.delete_port(name)
            del actual[name]
        refusals = []
        for name, ids in desired.items():
            if actual.get(name) != ids and not self._put(name, ids):
                refusals.append(name)
            else:
                actual[name] = ids
        if refusals:
            raise Refused(f"{len(refusals)} ports were refused, {', '.join(refusals[:3])} first; see above")

    def _put(self, name: str, ids: Ids) -> bool:
        what = f"port {name} of {ids['iface-id']}"
        try:
            self._controller.put_port(name, ids)
        except Refused as refused:
            self._troubles.tell(what, f"{refused}; trying again")
            return False
        self._troubles.relieve(what)
        return True

    def _desired(self, joined: Mapping[str, Endpoint], actual: Mapping[str, Ids]) -> dict[str, Ids]:
        desired: dict[str, Ids] = {}
        networks = self._state.networks()
        for uid, endpoint in joined.items():
            name, network = outer_name(uid), networks.get(endpoint.network)
            identity = self._identities.get(uid)
            if identity is not None and network is not None and network.name:
                self._ensure_network(network)
                desired[name] = port_ids(endpoint, identity, network.name, self._uids[uid])
            elif actual.get(name, {}).get(ENDPOINT_KEY) == uid:
                desired[name] = actual[name]  # it was known before the driver was restarted, and is the same endpoint
        return desired

    def _ensure_network(self, network: Network) -> None:
        if network.name not in self._made:
            self._controller.ensure_network(network_document(network.name, network.subnets, network.gateways))
            self._made.add(network.name)


def _nothing() -> None:
    """Do nothing."""


def port_ids(endpoint: Endpoint, identity: Identity, network: str, container: str) -> dict[str, str]:
    """Return what the port says of its endpoint, in `external_ids`."""
    labels = {**identity.labels, **({LABEL: published_tag(endpoint)} if endpoint.published else {})}
    return {
        ENDPOINT_KEY: endpoint.uid,
        "docker-container": container,
        "iface-id": identity.name,
        "attached-mac": endpoint.mac,
        "ringfence:network": network,
        "ringfence:ip": ",".join(address.partition("/")[0] for address in endpoint.addresses),
        **{f"ringfence:label/{key}": value for key, value in labels.items()},
        **{f"ringfence:port/{name}": port for name, port in identity.ports.items()},
    }

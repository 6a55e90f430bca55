"""Brings the controller's ports to what is joined and identified. One thread; others only wake it.

Level-triggered: each look starts from the state file, the Engine and the controller as they are. An endpoint
whose labels are not known has no port, so nothing of it reaches the switch. While the Engine or the
controller is away nothing is removed that may still be right: running containers keep their traffic.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from docker_driver.controller import ENDPOINT_KEY, Document, Ids
from docker_driver.engine import Attached
from docker_driver.errors import Refused, Unreachable
from docker_driver.labels import Container, Identity, Rules, identify
from docker_driver.network import outer_name
from docker_driver.state import Endpoint, Network, State
from docker_driver.wishes import LABEL, network_document, published_tag

log = logging.getLogger("ringfence.docker.plugger")

LOOK_S = 30.0
"""Everything is compared anew after this long without a reason."""
FIRST_RETRY_S, LAST_RETRY_S = 0.02, 2.0
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


class Plugger:
    """Looks when woken, when something failed a moment ago, and every 30 s."""

    def __init__(self, state: State, engine: EnginePort, controller: ControllerPort, rules: Rules) -> None:
        """Nothing happens before `run`."""
        self._state = state
        self._engine = engine
        self._controller = controller
        self._rules = rules
        self.named: Callable[[], None] = _nothing
        """Called when a network's name became known."""
        self._woken = threading.Event()
        self._stopped = False
        self._identities: dict[str, Identity] = {}
        self._uids: dict[str, str] = {}
        """Container by endpoint, for who reads the port."""
        self._actual: dict[str, Ids] | None = None
        """The controller's ports as we left them; None where that is not known."""
        self._made: set[str] = set()
        """Networks whose document is there."""
        self._troubles: dict[str, str] = {}
        """What was logged and still holds, by what it is about."""

    def wake(self) -> None:
        """Look now."""
        self._woken.set()

    def stop(self) -> None:
        """End the thread soon."""
        self._stopped = True
        self._woken.set()

    def run(self) -> None:
        """Look until stopped."""
        retry_s: float | None = None
        full_at = 0.0
        while not self._stopped:
            if time.monotonic() >= full_at:
                self.forget()
                full_at = time.monotonic() + LOOK_S
            settled = self._guarded_look()
            retry_s = None if settled else min(2 * (retry_s or FIRST_RETRY_S / 2), LAST_RETRY_S)
            self._woken.wait(max(0.0, full_at - time.monotonic()) if retry_s is None else retry_s)
            self._woken.clear()

    def forget(self) -> None:
        """Ask for everything anew at the next look."""
        self._actual = None
        self._made.clear()

    def _guarded_look(self) -> bool:
        try:
            return self.look()
        except Exception:
            log.exception("a look failed by a fault of ours: report it with these lines")
            self.forget()
            return False

    def look(self) -> bool:
        """Bring the ports to what is known now; return whether everything that is joined is plugged in."""
        joined = {uid: e for uid, e in self._state.endpoints().items() if e.joined}
        for known in [uid for uid in self._identities if uid not in joined]:
            del self._identities[known]
            self._uids.pop(known, None)
        identified = self._try("the Engine", lambda: self._identify(joined))
        settled = self._try("the controller", lambda: self._settle(joined))
        return identified and settled and len(self._identities) == len(joined)

    def _try(self, who: str, step: Callable[[], None]) -> bool:
        try:
            step()
        except (Unreachable, Refused) as error:
            if who == "the controller":
                self._actual = None
            self._tell(who, str(error))
            return False
        self._relieve(who)
        return True

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
        try:
            self._controller.put_port(name, ids)
        except Refused as refused:
            self._tell(f"port {name} of {ids['iface-id']}", str(refused))
            return False
        self._relieve(f"port {name} of {ids['iface-id']}")
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

    # -- words ---------------------------------------------------------------------------------

    def _tell(self, what: str, problem: str) -> None:
        """Log a trouble once, until it is over or changes."""
        if self._troubles.get(what) != problem:
            log.warning("%s: %s; trying again", what, problem)
        self._troubles[what] = problem

    def _relieve(self, what: str) -> None:
        if self._troubles.pop(what, None) is not None:
            log.info("%s: well again", what)


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

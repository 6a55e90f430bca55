"""Keeps the way out of the networks and into published ports as the state says. One thread; others only wake it.

Level-triggered, like the plugger: what should be follows from the state file, and what is there is made so.
Whatever of it fails, containers reach each other as before, and nothing passes that policy does not allow.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from docker_driver import firewall, hostlink, links
from docker_driver.config import Outside
from docker_driver.controller import Ids
from docker_driver.errors import Refused
from docker_driver.looking import Looker, Pace, Troubles
from docker_driver.state import State
from docker_driver.wishes import Document, Key, Wishes, iface_id, is_ours, network_document, wishes

log = logging.getLogger("ringfence.docker.outside")

PACE = Pace(look_s=30.0, first_retry_s=0.05, last_retry_s=5.0)
LOOKS = 10
"""The kernel is compared anew at each look without a reason, the controller at one of so many."""
UPLINK_KEY = "docker-uplink"
"""Key in external_ids of the port that leads to the host."""
KINDS = {"Policy": "policies", "Router": "routers", "Uplink": "uplinks"}
"""What the driver writes, in the order in which it may be removed."""


class ControllerPort(Protocol):
    """What is asked of the controller; `docker_driver.controller.Controller` is one."""

    def put_port(self, name: str, ids: Ids) -> None:
        """Make a port right."""

    def delete_port(self, name: str) -> None:
        """Remove a port."""

    def documents(self, plural: str) -> list[Document]:
        """Return all documents of a kind."""

    def document(self, plural: str, name: str) -> Document | None:
        """Return one document."""

    def apply(self, documents: list[Document]) -> None:
        """Put documents as one revision."""

    def delete(self, keys: list[Key]) -> None:
        """Delete documents as one revision, those that there are."""


class Gate(Looker):
    """Looks when woken, soon after something failed, and every 30 s."""

    def __init__(self, state: State, controller: ControllerPort, settings: Outside) -> None:
        """Nothing happens before `run`."""
        super().__init__(log, PACE)
        self._state = state
        self._controller = controller
        self._settings = settings
        self._looks = 0
        """Looks without a reason."""
        self._kernel: Wishes | None = None
        """What the kernel was made to be; None where that is not known."""
        self._script = ""
        """What the firewall was told last."""
        self._documents: dict[Key, Document] | None = None
        """Our documents as we left them; None where that is not known."""
        self._plugged: bool | None = None
        """Whether the host's interface is plugged in; None where that is not known."""
        self._gateways: Mapping[str, Any] = {}
        """Networks whose documents have their gateways."""
        self._troubles = Troubles(log, "the way out, ")

    def renew(self) -> None:
        """Forget; the controller's documents now and then."""
        self.forget(documents=self._looks % LOOKS == 0)
        self._looks += 1

    def forget(self, *, documents: bool = True) -> None:
        """Compare the kernel anew at the next look, and the controller's documents if that is asked for."""
        self._kernel = None
        if documents:
            self._documents, self._plugged, self._gateways = None, None, {}

    def look(self) -> bool:
        """Bring kernel and controller to what is wished now; return whether all of it is so."""
        networks, endpoints = self._state.networks().values(), self._state.publishing()
        wanted = wishes(networks, endpoints, self._settings, self._state.instance)
        kernel = self._try("the kernel", lambda: self._settle_kernel(wanted))
        return self._try("the controller", lambda: self._settle_documents(wanted)) and kernel

    def _try(self, who: str, step: Callable[[], None]) -> bool:
        done = self._troubles.attempt(who, step)
        if not done:
            self.forget()
        return done

    # -- the kernel ----------------------------------------------------------------------------

    def _settle_kernel(self, wanted: Wishes) -> None:
        if self._kernel == wanted:
            return
        interface = self._settings.interface
        if not wanted.documents:
            if hostlink.switch_end(interface) in links.names():
                log.info("no network has a way out any more: %s goes", interface)
                hostlink.remove(interface)
                firewall.remove(interface)
            self._kernel = wanted
            return
        hostlink.ensure(interface, wanted.mtu)
        # First the firewall: no packet finds a route before it.
        script = firewall.script(interface, (way.subnet for way in wanted.ways), wanted.targets)
        if script != self._script or not firewall.standing():
            firewall.apply(script)
            self._script = script
        firewall.let_through_docker(interface)
        problems = hostlink.route(interface, wanted.ways)
        off = hostlink.not_forwarding(6 if ":" in way.subnet else 4 for way in wanted.ways)
        problems += [f"{key} is 0, so the host forwards nothing: set it to 1 (dockerd does for IPv4)" for key in off]
        self._troubles.tell("the host", "; ".join(problems))  # no failure of ours: it stays until somebody changes it
        self._kernel = wanted

    # -- the controller ------------------------------------------------------------------------

    def _settle_documents(self, wanted: Wishes) -> None:
        desired = {(d["kind"], d["name"]): d for d in wanted.documents}
        if self._documents is None:
            self._documents = self._found()
        self._plug(wanted=bool(desired))
        fresh = [*self._networks(wanted), *(d for key, d in desired.items() if self._documents.get(key) != d)]
        refusals = self._apply(fresh)
        if stale := [key for key in self._documents if key not in desired]:
            self._controller.delete(sorted(stale))
        if refusals:
            raise Refused("; ".join(refusals[:3]))
        self._documents, self._gateways = desired, wanted.networks

    def _apply(self, documents: list[Document]) -> list[str]:
        """Put documents at once or, if that is refused, each by itself; return the refusals."""
        refusals: list[str] = []
        for batch in (documents,) if documents else ():
            try:
                self._controller.apply(batch)
            except Refused:
                for document in batch:
                    try:
                        self._controller.apply([document])
                    except Refused as refused:
                        refusals.append(f"{document['kind']} {document['name']}: {refused}")
        return refusals

    def _plug(self, *, wanted: bool) -> None:
        if self._plugged is wanted:
            return
        outer = hostlink.switch_end(self._settings.interface)
        if wanted:
            self._controller.put_port(outer, {UPLINK_KEY: "host", "iface-id": iface_id(self._settings)})
        else:
            self._controller.delete_port(outer)
        self._plugged = wanted

    def _found(self) -> dict[Key, Document]:
        """Return our documents as the controller has them."""
        found = (d for plural in KINDS.values() for d in self._controller.documents(plural))
        return {(d["kind"], d["name"]): d for d in found if is_ours(d, self._settings, self._state.instance)}

    def _networks(self, wanted: Wishes) -> list[Document]:
        """Return documents of networks with their gateways, where there is none or it lacks them."""
        lacking = []
        for name, (subnets, gateways) in wanted.networks.items():
            if self._gateways.get(name) == (subnets, gateways):
                continue
            document = self._controller.document("networks", name) or network_document(name, subnets, ())
            if not document.get("gateways"):
                lacking.append({**document, "gateways": list(gateways)})
            elif set(document["gateways"]) != set(gateways):
                said = " and ".join(document["gateways"])
                remedy = f"create the Docker network with --gateway {said}"
                problem = f"network {name} has other gateways than Docker's, {', '.join(gateways)}: {remedy}"
                self._troubles.tell(f"network {name}", problem)
        return lacking

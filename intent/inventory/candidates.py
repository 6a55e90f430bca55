"""Who would be an endpoint, were nobody else in the way: each row of ours with what it and the documents say."""

from __future__ import annotations

import bisect
import dataclasses
from typing import NamedTuple

from intent.inventory.checks import RESERVED_PREFIX, sort_addresses
from intent.inventory.declared import IFACE_ID, Declared, read
from intent.inventory.drafts import Candidate, Draft, examine
from intent.inventory.grants import ALL, Grants
from intent.inventory.mirrors import Mirrors
from intent.inventory.uplinks import Uplinks
from intent.inventory.values import ClaimKey, address_key
from intent.model import Binding, EndpointIntent, Intents
from topology.events import RefusedRow
from topology.fabric import LINK_KEY, is_link, link_port
from topology.model import Location, MirrorPort, NamedPort, Report, UplinkPort
from topology.overlay import TUNNEL_MARK
from topology.site import Site, SiteInterface

MAX_OFPORT = 0xFEFF
"""65279: above are OVS's reserved numbers, the bridge's own port among them."""


@dataclasses.dataclass(slots=True)
class Gathered:
    """Collected while going through the site."""

    candidates: list[Candidate] = dataclasses.field(default_factory=list)
    reports: list[Report] = dataclasses.field(default_factory=list)
    declared: set[ClaimKey] = dataclasses.field(default_factory=set)
    grants: Grants = ALL
    plugged: set[str] = dataclasses.field(default_factory=set)
    """Names of documents that found their port."""
    uplinks: tuple[UplinkPort, ...] = ()
    mirrors: tuple[MirrorPort, ...] = ()

    def report(self, subject: str, problem: str, remedy: str) -> None:
        """Add a report."""
        self.reports.append(Report(subject, problem, remedy))


class Heard(NamedTuple):
    """What is said of one interface."""

    interface: SiteInterface
    row: Declared
    documents: tuple[EndpointIntent, ...]
    """Those that bind it."""


class Bindings:
    """The documents by what binds them, each list sorted by name."""

    def __init__(self) -> None:
        self._bound: dict[tuple[str | None, ...], list[EndpointIntent]] = {}

    def put(self, document: EndpointIntent) -> None:
        """Take a document in."""
        bisect.insort(self._bound.setdefault(_place(document.binding), []), document, key=_name)

    def drop(self, document: EndpointIntent) -> None:
        """Let a document go that is here."""
        binding = _place(document.binding)
        self._bound[binding].remove(document)
        if not self._bound[binding]:
            del self._bound[binding]

    def change(self, was: EndpointIntent | None, now: EndpointIntent | None) -> None:
        """Take in that a document is now another one of its name, or came, or went."""
        if was is not None and now is not None and was.binding == now.binding:
            bound = self._bound[_place(was.binding)]
            bound[bound.index(was)] = now
            return
        if was is not None:
            self.drop(was)
        if now is not None:
            self.put(now)

    def heard(self, interface: SiteInterface, before: Heard | None = None) -> Heard:
        """Return what the row of an interface and the documents that bind it say; `before` is what it was."""
        known = before is not None and before.interface is interface
        row = before.row if before is not None and known else read(interface.external_ids)
        by_port = self._bound.get((interface.bridge, interface.name), ())
        by_id = self._bound.get((row.iface_id,), ()) if row.iface_id else ()
        return Heard(interface, row, (*by_port, *by_id))


def _place(binding: Binding) -> tuple[str | None, ...]:
    """Return what is bound: an `iface-id`, or else bridge and interface."""
    return (binding.bridge, binding.interface) if binding.iface_id is None else (binding.iface_id,)


def _name(document: EndpointIntent) -> str:
    return document.name


def gather(site: Site, intents: Intents, grants: Grants) -> Gathered:
    """Go through every interface of our bridges and every document."""
    gathered = Gathered(grants=grants)
    bindings, uplinks, mirrors = Bindings(), Uplinks(intents), Mirrors(intents)
    for document in intents.endpoints.values():
        bindings.put(document)
        gathered.declared.update(declared_keys(document))
    for host, refused in site.refused():
        gathered.reports.append(refused_report(host, refused))
    for interface in site.interfaces():
        if interface.ours and TUNNEL_MARK not in interface.external_ids:
            iface_id = interface.external_ids.get(IFACE_ID)
            if (uplink := uplinks.of(interface, iface_id)) is not None:
                uplinks.take(uplink, interface, location_of(interface))
            elif (mirror := mirrors.of(interface, iface_id)) is not None:
                mirrors.take(mirror, interface, location_of(interface))
            else:
                consider(gathered, intents, bindings.heard(interface))
    gathered.uplinks, gathered.mirrors = uplinks.ports(), mirrors.ports()
    gathered.reports.extend((*uplinks.reports(), *mirrors.reports()))
    for name in sorted(set(intents.endpoints) - gathered.plugged):
        gathered.reports.append(unplugged(intents.endpoints[name]))
    return gathered


def declared_keys(document: EndpointIntent) -> list[ClaimKey]:
    """Return what a document declares: it is its endpoint's, plugged in or not, and nobody may learn it."""
    if document.network is None:
        return []
    return [address_key(document.network, address) for address in document.addresses or ()]


def refused_report(host: str, refused: RefusedRow) -> Report:
    """Tell that a row is not believed."""
    subject = f"{refused.table.lower()} {refused.name}"
    return Report(subject, f"on {host}: {refused.problem}", "mend the row; until then it counts as absent")


def consider(gathered: Gathered, intents: Intents, heard: Heard) -> None:
    """Collect what an interface of ours, its row and its documents say."""
    interface, row, documents = heard
    if is_link(interface.external_ids):
        if not link_port(interface) and location_of(interface) is not None:
            problem = f"it is for links ({LINK_KEY}), and claims to be an endpoint, so it is neither"
            gathered.report(subject_of(interface), problem, f"remove external_ids:{LINK_KEY}, or the others")
        return
    row = _granted(gathered, interface, row)
    location = location_of(interface)
    if location is None:
        if interface.error and (documents or row.anything):
            problem = f"the switch cannot open the device: {interface.error[:200]}"
            gathered.report(subject_of(interface), problem, "make the device, or remove the port")
        return
    gathered.plugged.update([document.name for document in documents])
    if not _is_one(gathered, intents, heard, row):
        return
    for document in documents:
        _report_losers(gathered, row, document)
        _propose(gathered, intents, _merged(row, document), location)
    if not documents:
        _propose(gathered, intents, _alone(interface, row), location)


def _is_one(gathered: Gathered, intents: Intents, heard: Heard, row: Declared) -> bool:
    """Whether an interface claims to be an endpoint, and may; tell why not."""
    interface, _, documents = heard
    if not documents and not row.anything:
        remedy = "bind an Endpoint document to it, or set external_ids:ringfence:network and the like"
        problem = "the port has no known identity, so it is denied both ways"
        gathered.report(subject_of(interface), problem, remedy)
        return False
    for key in row.refused_labels:
        problem = f"label {key[:80]!r} is implied and cannot be set; it is ignored"
        gathered.report(subject_of(interface), problem, f"remove external_ids:ringfence:label/{key[:80]}")
    if row.void:
        remedy = "correct the row's external_ids; until then the port is denied"
        gathered.report(subject_of(interface), "; ".join(row.void), remedy)
        return False
    if not documents and (name := row.iface_id or interface.name) in intents.endpoints:
        problem = f"it calls itself {name}, but the Endpoint document of that name binds another port"
        gathered.report(subject_of(interface), problem, "change its iface-id, or the binding of the document")
        return False
    return True


def _granted(gathered: Gathered, interface: SiteInterface, row: Declared) -> Declared:
    """Return the row with only the labels that a row may set."""
    refused = [key for key, _ in row.labels if not gathered.grants.allow(key)]
    if not refused:
        return row
    for key in refused:
        remedy = "set it in an Endpoint document, or grant it in the config under labels.ovsdb"
        gathered.report(subject_of(interface), f"rows may not set label {key[:80]!r}; it is ignored", remedy)
    return dataclasses.replace(row, labels=tuple((k, v) for k, v in row.labels if k not in refused))


def _alone(interface: SiteInterface, row: Declared) -> Draft:
    """No document binds it: the row says all."""
    return Draft(
        subject=subject_of(interface),
        name=row.iface_id or interface.name,
        network=row.network,
        labels=row.labels,
        mac=row.mac,
        addresses=row.addresses,
        ports=row.ports,
        from_api=False,
    )


def _merged(row: Declared, document: EndpointIntent) -> Draft:
    """The document wins, field by field and label by label."""
    labels = dict(row.labels)
    labels.update((key, value) for key, value in document.labels.items() if not key.startswith(RESERVED_PREFIX))
    ports: tuple[NamedPort, ...] = ()
    if row.ports or document.ports:
        ports = tuple(sorted({(port.name, port.protocol): port for port in (*row.ports, *document.ports)}.values()))
    return Draft(
        subject=f"endpoint {document.name}",
        name=document.name,
        network=document.network or row.network,
        labels=tuple(sorted(labels.items())),
        mac=document.mac or row.mac,
        addresses=row.addresses if document.addresses is None else document.addresses,
        ports=ports,
        from_api=True,
    )


def _report_losers(gathered: Gathered, row: Declared, document: EndpointIntent) -> None:
    """Tell what of a row and its document does not count."""
    subject, remedy = f"endpoint {document.name}", "make the row and the document agree"
    labels, wishes = dict(row.labels), document.labels
    for key in sorted(wishes):
        if key.startswith(RESERVED_PREFIX):
            gathered.report(subject, f"label {key[:80]!r} is implied and cannot be set; it is ignored", "remove it")
        elif labels and labels.get(key, wishes[key]) != wishes[key]:
            problem = f"label {key} is {wishes[key]!r} by its document; {labels[key]!r} of the row loses"
            gathered.report(subject, problem, remedy)
    lost = []
    if row.network is not None and document.network not in (None, row.network):
        lost.append("network")
    if row.mac is not None and document.mac not in (None, row.mac):
        lost.append("MAC")
    if row.addresses and document.addresses and row.addresses != sort_addresses(document.addresses):
        lost.append("addresses")
    for field in lost:
        gathered.report(subject, f"its document and its row give different {field}; the document wins", remedy)


def _propose(gathered: Gathered, intents: Intents, draft: Draft, location: Location) -> None:
    made = examine(draft, location, intents.networks.get(draft.network or ""))
    if isinstance(made, Candidate):
        gathered.candidates.append(made)
        gathered.declared.update(made.address_keys)
        return
    gathered.report(draft.subject, *made)
    if draft.network is not None:
        gathered.declared.update(address_key(draft.network, address) for address in draft.addresses)


def location_of(interface: SiteInterface) -> Location | None:
    """Return where an interface is plugged in; None while the switch has no port for it."""
    if interface.dpid is None or interface.ofport is None or not 1 <= interface.ofport <= MAX_OFPORT:
        return None
    return Location(interface.dpid, interface.ofport, interface.name, interface.uid)


def subject_of(interface: SiteInterface) -> str:
    """Name an interface for a report."""
    return f"interface {interface.bridge}/{interface.name}"


def unplugged(document: EndpointIntent) -> Report:
    """Tell that a document did not find its port."""
    binding = document.binding
    where = f"iface-id {binding.iface_id}" if binding.iface_id is not None else f"{binding.bridge}/{binding.interface}"
    return Report(f"endpoint {document.name}", f"no port of ours is {where}: it is not plugged in", "plug it in")

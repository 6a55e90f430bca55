"""Hosts, and what is set up on them by hand: `/v1/hosts`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import falcon

from intent.api import requests
from intent.api.errors import BAD_REQUEST, UNPROCESSABLE, RequestError
from intent.api.host_bodies import (
    NAMED,
    SINGLE,
    Body,
    HostAnswer,
    HostChangeAnswer,
    HostChangedAnswer,
    HostsAnswer,
)
from intent.api.host_ports import HostChange, HostPort
from intent.api.ports import Ports
from intent.api.writes import send

MAX_BODY = 256 * 1024
MAX_NAME = 300


def host_id(name: str) -> str:
    """Return a host's name as it stands in a path; servers decode %2F before they route."""
    return name.replace("/", "~")


class HostList:
    """`/v1/hosts`."""

    def __init__(self, ports: Ports) -> None:
        self._hosts = ports.hosts

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """List the hosts."""
        items = [
            HostAnswer(
                host=h.name,
                id=host_id(h.name),
                dials_in=h.dials_in,
                connected=h.connected,
                ovs_version=h.ovs_version,
                bridge=h.bridge,
                problem=h.problem,
            )
            for h in self._hosts.hosts()
        ]
        send(resp, HostsAnswer(items=items))


class OneHost:
    """`/v1/hosts/{host}`."""

    def __init__(self, ports: Ports) -> None:
        self._hosts = ports.hosts

    def on_delete(self, _req: falcon.Request, resp: falcon.Response, host: str) -> None:
        """Forget it."""
        found = known_host(self._hosts, host)
        with requests.refusals(f"hosts/{host_id(found)}"):
            self._hosts.forget(found)
        send(resp, HostChangedAnswer(host=found, changed=True, dry_run=False, changes=[]))


class Setting:
    """`/v1/hosts/{host}/<kind>/{name}`, or without a name: make it so, or take it away. Both may be repeated."""

    def __init__(self, ports: Ports, kind: str) -> None:
        self._hosts = ports.hosts
        self._kind = kind
        self._body: type[Body] = (NAMED | SINGLE)[kind]
        names = ", ".join(f.alias or name for name, f in self._body.model_fields.items())
        self._shape = f"send JSON; {kind} take {names}"

    def on_put(self, req: falcon.Request, resp: falcon.Response, host: str, name: str = "") -> None:
        """Make it so."""
        body = requests.model(req, MAX_BODY, self._body, self._shape)
        dry_run = requests.text(req, "dry_run", "0") == "1"
        fields = body.model_dump()
        act = lambda found: self._hosts.ensure(found, self._kind, name, fields, dry_run=dry_run)  # noqa: E731 - short
        self._answer(resp, host, name, act, dry_run=dry_run)

    def on_delete(self, req: falcon.Request, resp: falcon.Response, host: str, name: str = "") -> None:
        """Take it away."""
        dry_run = requests.text(req, "dry_run", "0") == "1"
        act = lambda found: self._hosts.remove(found, self._kind, name, dry_run=dry_run)  # noqa: E731 - short
        self._answer(resp, host, name, act, dry_run=dry_run)

    def _answer(
        self,
        resp: falcon.Response,
        host: str,
        name: str,
        act: Callable[[str], Sequence[HostChange]],
        *,
        dry_run: bool,
    ) -> None:
        if len(name) > MAX_NAME or not name.isprintable():
            raise RequestError(BAD_REQUEST, "path.name", "this is no name", f"at most {MAX_NAME} printable characters")
        found = known_host(self._hosts, host)
        with requests.refusals(f"hosts/{host_id(found)}/{self._kind}"):
            changes = act(found)
        items = [
            HostChangeAnswer(
                action=c.action, table=c.table, row=c.row, column=c.column, before=c.before, after=c.after, text=c.text
            )
            for c in changes
        ]
        send(resp, HostChangedAnswer(host=found, changed=bool(items), dry_run=dry_run, changes=items))


def known_host(hosts: HostPort, asked: str) -> str:
    """Return the name of the host that a path means.

    Raises:
        RequestError: there is none.
    """
    found = next((h.name for h in hosts.hosts() if host_id(h.name) == asked), None)
    if found is None:
        remedy = "see `ringfence ovsdb hosts`; in paths write ~ for /"
        raise RequestError(UNPROCESSABLE, "path.host", f"host {asked[:80]!r} is not managed here", remedy)
    return found


def routes(ports: Ports) -> dict[str, object]:
    """Return every resource of this module by its path."""
    found: dict[str, object] = {"/v1/hosts": HostList(ports), "/v1/hosts/{host}": OneHost(ports)}
    found |= {f"/v1/hosts/{{host}}/{kind}/{{name}}": Setting(ports, kind) for kind in NAMED}
    found |= {f"/v1/hosts/{{host}}/{kind}": Setting(ports, kind) for kind in SINGLE}
    return found

"""The WSGI application: resources on their paths, guards before them, problems for every error."""

from __future__ import annotations

import functools
import json
from typing import Any

import falcon

from intent.api import hosting
from intent.api.counts import Counters, Observed
from intent.api.deletes import DeleteMany
from intent.api.errors import add_handlers
from intent.api.gauges import AllGauges, OneGauge
from intent.api.imports import KubernetesImport
from intent.api.leases import LeaseList, OneHolder
from intent.api.openapi import describe
from intent.api.operations import KIND_OF
from intent.api.plugs import OnePort, PortList
from intent.api.ports import Limits, Ports
from intent.api.reads import Health, LiveEndpoints, Matrix, Status, Switches, Verdict
from intent.api.requests import QueryGuard, TokenGuard
from intent.api.reverts import Revert
from intent.api.watching import Events, Topology
from intent.api.writes import Apply, Collection, Item, Revisions, Writer

MIN_TOKEN = 32
"""Characters of the shortest token accepted."""


@functools.cache
def _description(version: str) -> str:
    return json.dumps(describe(version))


class Description:
    """`/openapi.json`; made when somebody asks, in a quarter of a second, which a start has no time for."""

    def __init__(self, version: str) -> None:
        self._version = version

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the description."""
        resp.content_type = falcon.MEDIA_JSON
        resp.text = _description(self._version)


def make_app(
    ports: Ports, *, token: str, limits: Limits | None = None, version: str = "0"
) -> falcon.App[falcon.Request, falcon.Response]:
    """Return the API as a WSGI application.

    Args:
        ports: what it needs from outside.
        token: the bearer token, at least 32 characters.
        limits: on what one request may ask for.
        version: of Ringfence, for the OpenAPI description.

    Raises:
        ValueError: the token is too short.
    """
    if len(token) < MIN_TOKEN:
        raise ValueError(f"the token has less than {MIN_TOKEN} characters: use ringfence's own token file")
    guards: list[Any] = [TokenGuard(token), QueryGuard()]
    app = falcon.App(middleware=guards)
    app.req_options.strip_url_path_trailing_slash = False
    app.req_options.keep_blank_qs_values = True
    add_handlers(app, ports.faults)
    _add_routes(app, ports, limits or Limits(), version)
    return app


def _add_routes(app: falcon.App[Any, Any], ports: Ports, limits: Limits, version: str) -> None:
    writer = Writer(ports, limits)
    app.add_route("/v1/apply", Apply(writer))
    app.add_route("/v1/delete", DeleteMany(writer))
    app.add_route("/v1/import/kubernetes", KubernetesImport(writer))
    app.add_route("/v1/revisions", Revisions(ports, limits))
    app.add_route("/v1/revisions/{number}/revert", Revert(writer))
    app.add_route("/v1/status", Status(ports))
    app.add_route("/v1/switches", Switches(ports))
    app.add_route("/v1/topology", Topology(ports))
    app.add_route("/v1/events", Events(ports))
    app.add_route("/v1/counters", Counters(ports))
    app.add_route("/v1/observed", Observed(ports))
    app.add_route("/v1/ports", PortList(ports))
    app.add_route("/v1/ports/{name}", OnePort(ports))
    app.add_route("/v1/leases", LeaseList(ports))
    app.add_route("/v1/leases/{holder}", OneHolder(ports))
    for path, resource in hosting.routes(ports).items():
        app.add_route(path, resource)
    app.add_route("/v1/live/endpoints", LiveEndpoints(ports))
    app.add_route("/v1/live/counters", AllGauges(ports, limits))
    app.add_route("/v1/endpoints/{name}/counters", OneGauge(ports))
    app.add_route("/v1/verdict", Verdict(ports))
    app.add_route("/v1/matrix", Matrix(ports, limits))
    app.add_route("/v1/health", Health())
    app.add_route("/openapi.json", Description(version))
    for plural, kind in KIND_OF.items():
        item = Item(writer, kind)
        app.add_route(f"/v1/{plural}", Collection(writer, kind))
        app.add_route(f"/v1/{plural}/{{name}}", item)
        app.add_route(f"/v1/{plural}/{{name}}/status", item, suffix="status")

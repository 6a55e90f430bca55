"""Ports on the integration bridges, for programs that plug workloads in: `/v1/ports`."""

from __future__ import annotations

import re
from typing import Annotated

import falcon
from pydantic import Field, StringConstraints

from intent.api import requests
from intent.api.answers import PluggedAnswer, PlugHostAnswer, PortAnswer, PortsAnswer
from intent.api.errors import BAD_REQUEST, RequestError
from intent.api.host_bodies import Body
from intent.api.ports import Plugged, Ports
from intent.api.writes import send

MAX_BODY = 64 * 1024
MAX_IDS = 160
"""Keys of one port: 64 labels, 64 named ports, and a few of its own."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
"""Interface names are at most 15 characters (IFNAMSIZ - 1)."""
_KEY = r"^(iface-id|attached-mac|ringfence:[!-~]{1,400}|docker-[a-z-]{1,32})$"
_Key = Annotated[str, StringConstraints(pattern=_KEY)]
_Value = Annotated[str, StringConstraints(max_length=2048, pattern=r"^[ -~]*$")]
_SHAPE = "send JSON: externalIds with keys iface-id, attached-mac, ringfence:…; host where there are several"
_Ids = Annotated[dict[_Key, _Value], Field(max_length=MAX_IDS)]


class PortBody(Body):
    """What a port should be."""

    host: Annotated[str, StringConstraints(max_length=512)] = ""
    external_ids: _Ids = Field(default_factory=dict)


class PortList:
    """`/v1/ports`: all of them."""

    def __init__(self, ports: Ports) -> None:
        self._plugs = ports.plugs

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """List the hosts and the ports that were made here."""
        hosts = [
            PlugHostAnswer(host=h.host, bridge=h.bridge, datapath_type=h.datapath_type, connected=h.connected)
            for h in self._plugs.hosts()
        ]
        send(resp, PortsAnswer(hosts=hosts, items=[_port(p) for p in self._plugs.plugged()]))


class OnePort:
    """`/v1/ports/{name}`: one of them. Both methods may be repeated."""

    def __init__(self, ports: Ports) -> None:
        self._plugs = ports.plugs

    def on_put(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Put a network device of the host on the bridge, with exactly these keys of ours."""
        _check_name(name)
        body = requests.model(req, MAX_BODY, PortBody, _SHAPE)
        with requests.refusals(f"ports/{name}"):
            changed = self._plugs.plug(body.host, name, body.external_ids)
        send(resp, PluggedAnswer(name=name, changed=changed))

    def on_delete(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Take it off; that it is gone already is no error."""
        _check_name(name)
        with requests.refusals(f"ports/{name}"):
            changed = self._plugs.unplug(requests.text(req, "host"), name)
        send(resp, PluggedAnswer(name=name, changed=changed))


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        remedy = "1 to 15 letters, digits, '_', '.' and '-', as Linux names interfaces"
        raise RequestError(BAD_REQUEST, "path.name", "this is no name of a port", remedy)


def _port(port: Plugged) -> PortAnswer:
    return PortAnswer(
        host=port.host, name=port.name, ofport=port.ofport, problem=port.problem, external_ids=dict(port.external_ids)
    )

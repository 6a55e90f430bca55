"""The Engine's API over its unix socket: networks, containers, events.

Only for threads of our own: a driver call that asked the Engine would wait for the very container start
that waits for it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPConnection, HTTPException, HTTPResponse  # noqa: TID251 - this package is a shell
from pathlib import Path
from typing import Any

from docker_driver.errors import Refused, Unreachable
from docker_driver.labels import Container
from docker_driver.network import GENERIC, gateways_of, network_name, network_of
from docker_driver.state import Network

VERSION = "v1.40"
"""Docker 19.03; later Engines speak it too."""
TIMEOUT_S = 10.0
MAX_ANSWER = 64 << 20
MAX_LINE = 1 << 20
_OK, _NOT_FOUND = 200, 404


class _UnixConnection(HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("docker", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclasses.dataclass(frozen=True, slots=True)
class Attached:
    """What hangs on a network."""

    name: str
    """The Ringfence network's name that follows from the Docker network's."""
    ends: frozenset[str]
    """Ids of all endpoints."""
    containers: Mapping[str, str]
    """Container by endpoint id."""


class Engine:
    """One Engine. Its methods may be called by any thread."""

    def __init__(self, path: Path, driver: str) -> None:
        """Speak to the socket at `path`; `driver` is our name there."""
        self._path = path
        self._driver = driver
        self._stream: socket.socket | None = None

    def networks(self) -> list[tuple[Network, str]]:
        """Return our networks, each with its Docker name; those whose options we would refuse are left out.

        Raises:
            Unreachable: the Engine does not answer as it should.
        """
        found = []
        for value in _objects(self._get("/networks", filters={"driver": [self._driver]})):
            with contextlib.suppress(Refused):
                name, subnets = str(value.get("Name", "")), _objects((value.get("IPAM") or {}).get("Config"))
                options = {k: v for k, v in (value.get("Options") or {}).items() if k != GENERIC}
                network = network_of(str(value.get("Id")), options, [str(s.get("Subnet")) for s in subnets])
                if value.get("Internal") is not True:
                    gateways = gateways_of([str(s["Gateway"]) for s in subnets if s.get("Gateway")])
                    network = dataclasses.replace(network, gateways=gateways)
                found.append((network, network_name(name)))
        return found

    def attached(self, network: str) -> Attached | None:
        """Return what hangs on a network, containers just starting included; None: there is no such network.

        Raises:
            Unreachable: the Engine does not answer as it should.
        """
        value = self._get(f"/networks/{network}")
        if not isinstance(value, dict):
            return None
        held = {uid: end for uid, end in (value.get("Containers") or {}).items() if isinstance(end, dict)}
        ends = {str(end.get("EndpointID")): uid for uid, end in held.items()}
        # An endpoint without a container yet is listed under a name of its own.
        containers = {end: uid for end, uid in ends.items() if not uid.startswith("ep-")}
        return Attached(network_name(str(value.get("Name", ""))), frozenset(ends), containers)

    def containers(self, uids: Sequence[str]) -> dict[str, Container]:
        """Return these containers by id, whatever their state.

        Raises:
            Unreachable: the Engine does not answer as it should.
        """
        values = _objects(self._get("/containers/json?all=1", filters={"id": sorted(uids)}))
        return {container.uid: container for container in map(_container, values)}

    def events(self) -> Iterator[None]:
        """Yield once when connected, and at every event that may say something of our endpoints, until cut off.

        Raises:
            Unreachable: the Engine cannot be reached.
        """
        wanted = {"type": ["network", "container"], "event": ["connect", "disconnect", "create", "destroy", "start"]}
        connection, response = self._open("/events", wanted)
        try:
            sock = connection.sock
            self._stream = sock
            if sock is not None:
                sock.settimeout(None)
            yield
            while response.readline(MAX_LINE):
                yield
        except (OSError, HTTPException, ValueError) as error:
            raise Unreachable(f"the Engine's events ended: {error}") from error
        finally:
            self._stream = None
            connection.close()

    def cut(self) -> None:
        """End the stream of events."""
        stream = self._stream
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)

    def _get(self, path: str, filters: Mapping[str, Sequence[str]] | None = None) -> Any:  # noqa: ANN401 - JSON
        connection, response = self._open(path, filters)
        try:
            data = response.read(MAX_ANSWER + 1)
        except (OSError, HTTPException) as error:
            raise Unreachable(f"the Engine broke off: {error}") from error
        finally:
            connection.close()
        if response.status == _NOT_FOUND:
            return None
        if response.status != _OK or len(data) > MAX_ANSWER:
            raise Unreachable(f"the Engine answers {path} with {response.status}, {len(data)} bytes")
        try:
            return json.loads(data)
        except ValueError as error:
            raise Unreachable(f"the Engine's answer to {path} is no JSON") from error

    def _open(self, path: str, filters: Mapping[str, Sequence[str]] | None) -> tuple[HTTPConnection, HTTPResponse]:
        if filters:
            path += ("&" if "?" in path else "?") + urllib.parse.urlencode({"filters": json.dumps(filters)})
        connection = _UnixConnection(self._path, TIMEOUT_S)
        try:
            connection.request("GET", f"/{VERSION}{path}")
            return connection, connection.getresponse()
        except (OSError, HTTPException) as error:
            connection.close()
            raise Unreachable(f"the Engine at {self._path}: {error}") from error


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _container(value: Mapping[str, Any]) -> Container:
    names = value.get("Names")
    name = next((str(n) for n in names or () if str(n).count("/") == 1), f"/{value.get('Id', '')}")
    labels = value.get("Labels")
    return Container(
        uid=str(value.get("Id", "")),
        name=name.removeprefix("/"),
        image=str(value.get("Image", "")),
        image_id=str(value.get("ImageID", "")),
        labels={str(k): str(v) for k, v in labels.items()} if isinstance(labels, dict) else {},
    )

"""The controller's REST API, as far as the driver needs it: ports, and the network they are in."""

from __future__ import annotations

import json
import ssl
import threading
import urllib.parse
from collections.abc import Mapping
from http.client import (  # noqa: TID251 - this package is a shell
    HTTPConnection,
    HTTPException,
    HTTPResponse,
    HTTPSConnection,
    IncompleteRead,
)
from pathlib import Path
from typing import Any

from docker_driver.errors import Refused, Unreachable

TIMEOUT_S = 10.0
HEALTH_TIMEOUT_S = 2.0
MAX_ANSWER = 64 << 20
MAX_TOKEN = 4096
ENDPOINT_KEY = "docker-endpoint"
"""Key in external_ids by which the driver knows its ports."""
_OK, _REDIRECTION, _UNAUTHORIZED, _NOT_FOUND, _CONFLICT, _FAULT = 200, 300, 401, 404, 412, 500

Ids = Mapping[str, str]
Document = dict[str, Any]


class Controller:
    """One controller. Requests go one after the other over one connection that is kept."""

    def __init__(
        self, server: str, token_file: Path, ca_file: Path | None, host: str, timeout_s: float = TIMEOUT_S
    ) -> None:
        """Speak to the API at `server`; ports are those of `host`, an OVSDB target (empty: the only one)."""
        self._timeout_s = timeout_s
        self._server = urllib.parse.urlsplit(server)
        self._token_file = token_file
        self._ca_file = ca_file
        self._host = host
        self._lock = threading.Lock()
        self._kept: HTTPConnection | None = None

    def why_not(self) -> str:
        """Return why the controller does not answer; empty when it does."""
        connection = self._connection(HEALTH_TIMEOUT_S)
        try:
            connection.request("GET", "/v1/health")
            status = connection.getresponse().status
        except (OSError, HTTPException) as error:
            return str(error)
        finally:
            connection.close()
        return "" if status == _OK else f"status {status}"

    def ports(self) -> dict[str, Ids]:
        """Return the external_ids of the driver's ports by interface name.

        Raises:
            Unreachable, Refused: the controller does not answer, or does not know the host.
        """
        answer = self._ask("GET", "/v1/ports")
        hosts = [str(h.get("host")) for h in answer.get("hosts", ())]
        host = self._host or (hosts[0] if len(hosts) == 1 else "")
        if host not in hosts:
            raise Refused(f"the controller manages {', '.join(hosts) or 'no host'}: set `host` to one of them")
        mine = (p for p in answer.get("items", ()) if p.get("host") == host and ENDPOINT_KEY in p["externalIds"])
        return {str(port["name"]): dict(port["externalIds"]) for port in mine}

    def put_port(self, name: str, ids: Ids) -> None:
        """Make a port, or make it right. Raises Unreachable, Refused."""
        self._ask("PUT", f"/v1/ports/{name}", json.dumps({"host": self._host, "externalIds": dict(ids)}))

    def delete_port(self, name: str) -> None:
        """Remove a port. Raises Unreachable, Refused."""
        self._ask("DELETE", f"/v1/ports/{name}?{urllib.parse.urlencode({'host': self._host})}")

    def ensure_network(self, document: Document) -> None:
        """Put a Network document unless there is one of that name. Raises Unreachable, Refused."""
        path = f"/v1/networks/{document['name']}?author=docker-driver"
        self._ask("PUT", path, json.dumps(document), {"If-None-Match": "*"})

    def lease(self, holder: str, wish: Document) -> Document:
        """Say what addresses this host has and wants; return what it has. Raises Unreachable, Refused."""
        return self._ask("PUT", f"/v1/leases/{holder}", json.dumps(wish))

    # -- documents -----------------------------------------------------------------------------

    def documents(self, plural: str) -> list[Document]:
        """Return all documents of a kind. Raises Unreachable, Refused."""
        items = self._ask("GET", f"/v1/{plural}").get("items", ())
        return [dict(item["document"]) for item in items]

    def document(self, plural: str, name: str) -> Document | None:
        """Return one document; None: there is none. Raises Unreachable, Refused."""
        answer = self._ask("GET", f"/v1/{plural}/{name}", tolerated=_NOT_FOUND)
        return dict(answer["document"]) if answer else None

    def apply(self, documents: list[Document]) -> None:
        """Put documents as one revision. Raises Unreachable, Refused."""
        self._ask("POST", "/v1/apply?author=docker-driver", _stream(documents))

    def delete(self, keys: list[tuple[str, str]]) -> None:
        """Delete documents, given by kind and name, as one revision; that one is gone is no error.

        Raises:
            Unreachable, Refused: the controller does not answer, or another document needs one of them.
        """
        named = [{"kind": kind, "name": name} for kind, name in keys]
        self._ask("POST", "/v1/delete?missing=ignore&author=docker-driver", _stream(named))

    # -- requests ------------------------------------------------------------------------------

    def _ask(
        self, method: str, path: str, body: str | None = None, extra: Ids | None = None, tolerated: int = _CONFLICT
    ) -> dict[str, Any]:
        """Send a request and return its answer; nothing if it ends with the status that is tolerated."""
        data = None if body is None else body.encode()
        headers = {"Authorization": f"Bearer {self._token()}", "Content-Type": "application/json", **(extra or {})}
        with self._lock:
            status, raw = self._exchange(method, path, data, headers)
        if status == tolerated:
            return {}
        try:
            answer = json.loads(raw)
        except ValueError as error:
            raise Unreachable(f"the controller's answer to {method} {path} is no JSON") from error
        if not isinstance(answer, dict) or status >= _FAULT or status == _UNAUTHORIZED:
            raise Unreachable(f"the controller answers {method} {path} with {status}: {_detail(answer)}")
        if not _OK <= status < _REDIRECTION:
            raise Refused(f"{method} {path}: {_detail(answer)}")
        return answer

    def _exchange(self, method: str, path: str, data: bytes | None, headers: Ids) -> tuple[int, bytes]:
        """Send one request; once more on a new connection if the kept one had been closed meanwhile."""
        kept = self._kept
        try:
            if kept is not None:
                return self._once(kept, method, path, data, headers)
        except (ConnectionError, HTTPException):
            pass  # every request may be repeated
        except OSError as error:
            raise Unreachable(f"the controller at {self._server.geturl()}: {error}") from error
        try:
            return self._once(self._connection(self._timeout_s), method, path, data, headers)
        except (OSError, HTTPException) as error:
            raise Unreachable(f"the controller at {self._server.geturl()}: {error}") from error

    def _once(
        self, connection: HTTPConnection, method: str, path: str, data: bytes | None, headers: Ids
    ) -> tuple[int, bytes]:
        self._kept = None
        try:
            connection.request(method, path, data, dict(headers))
            response = connection.getresponse()
            raw = _whole(response)
        except BaseException:
            connection.close()
            raise
        self._kept = connection
        return response.status, raw

    def _connection(self, timeout_s: float) -> HTTPConnection:
        host, port = self._server.hostname or "", self._server.port
        if self._server.scheme == "http":
            return HTTPConnection(host, port, timeout=timeout_s)
        context = ssl.create_default_context(cafile=None if self._ca_file is None else str(self._ca_file))
        return HTTPSConnection(host, port, timeout=timeout_s, context=context)

    def _token(self) -> str:
        try:
            with self._token_file.open() as file:
                return file.read(MAX_TOKEN).strip()
        except OSError as error:
            raise Unreachable(f"{self._token_file}: {error.strerror}; is the controller up? Set token_file") from error


def _whole(response: HTTPResponse) -> bytes:
    raw = response.read(MAX_ANSWER + 1)
    if len(raw) > MAX_ANSWER:
        raise IncompleteRead(raw[:80])
    return raw


def _stream(documents: list[Document]) -> str:
    """Return several documents as one YAML stream, which JSON is a part of."""
    return "\n".join(f"---\n{json.dumps(document)}" for document in documents)


def _detail(answer: object) -> str:
    return str(answer.get("detail", ""))[:500] if isinstance(answer, dict) else ""

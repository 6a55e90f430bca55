"""A small client of the controller's REST API: what a scenario needs of it."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from mininet_scenarios.scenario import Document

REQUEST_TIMEOUT_S = 60.0
MAX_ANSWER = 64 << 20
OK, REDIRECTION = 200, 300
COLLECTIONS = {
    "Network": "networks",
    "Group": "groups",
    "Service": "services",
    "Policy": "policies",
    "Endpoint": "endpoints",
    "Router": "routers",
    "Uplink": "uplinks",
    "Queue": "queues",
    "Mirror": "mirrors",
    "Tiers": "tiers",
}


class RestError(RuntimeError):
    """The controller refused, or cannot be reached; the message holds its answer."""


class Rest:
    """Speaks to one controller with the token it wrote."""

    def __init__(self, host: str, port: int, token_path: Path) -> None:
        self._address = (host, port)
        self._token_path = token_path

    def call(self, method: str, path: str, body: str | None = None) -> Any:  # noqa: ANN401 - JSON, as the API defines
        """Send one request and return the decoded answer.

        Raises:
            RestError: the status is no success.
            OSError: the controller cannot be reached.
        """
        headers = {"Content-Type": "application/yaml", "Accept": "application/json"}
        if self._token_path.exists():
            headers["Authorization"] = f"Bearer {self._token_path.read_text().strip()}"
        connection = http.client.HTTPConnection(*self._address, timeout=REQUEST_TIMEOUT_S)
        try:
            connection.request(method, path, None if body is None else body.encode(), headers)
            response = connection.getresponse()
            raw = response.read(MAX_ANSWER)
        finally:
            connection.close()
        if not OK <= response.status < REDIRECTION:
            raise RestError(f"{method} {path}: {response.status}: {raw.decode(errors='replace')[:4000]}")
        return json.loads(raw) if raw else None

    def wait_healthy(self, timeout_s: float, *, is_alive: Callable[[], bool]) -> None:
        """Return when the API answers; `is_alive` says whether waiting still makes sense.

        Raises:
            RestError: it does not in time.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                self.call("GET", "/v1/health")
            except (OSError, http.client.HTTPException, RestError) as error:
                if time.monotonic() > deadline or not is_alive():
                    raise RestError(f"no REST API within {timeout_s} s: {error}") from error
                time.sleep(0.03)
            else:
                return

    def apply(self, documents: Iterable[Document], timeout_s: float = 50.0) -> Mapping[str, Any]:
        """Apply documents as one change, wait until the switches confirmed it, and return the answer."""
        text = yaml.safe_dump_all([dict(d) for d in documents], sort_keys=False)
        answer: Mapping[str, Any] = self.call("POST", f"/v1/apply?wait=realized&timeout={timeout_s:g}", text)
        return answer

    def delete(self, kind: str, name: str) -> None:
        """Delete one document."""
        self.call("DELETE", f"/v1/{COLLECTIONS[kind]}/{name}")

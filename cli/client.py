"""One bounded HTTP request after another to the controller's REST API."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import re
import ssl
import urllib.parse
from typing import TYPE_CHECKING, NamedTuple

from cli.answer import Answer, decode
from cli.exits import Exit, Failure, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEFAULT_SERVER = "http://127.0.0.1:8181"
DEFAULT_TOKEN_FILE = "/var/lib/ringfence/token"
MAX_ANSWER = 256 << 20
"""Largest answer that is read, in bytes."""
MAX_LINE = 1 << 20
"""Longest line of an event stream, in bytes."""
MAX_TOKEN = 4096
OK = 200
MAX_PROBLEMS = 1000
"""Most problems of a refused document that are shown."""


class Server(NamedTuple):
    """Where the controller is, and what proves both sides."""

    url: str = DEFAULT_SERVER
    token_file: str = DEFAULT_TOKEN_FILE
    ca_file: str | None = None
    timeout_s: float = 30.0


class Client:
    """Speaks to one controller; each request is a connection of its own."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._url = _checked(server.url)

    def get(self, path: str, query: Mapping[str, str] | None = None, *, patience_s: float = 0) -> Answer:
        """Return what the controller says of `path`; `patience_s` more seconds than usual if it may wait."""
        return decode(self._request("GET", _target(path, query), patience_s=patience_s), path)

    def post(self, path: str, query: Mapping[str, str], body: bytes, *, patience_s: float = 0) -> Answer:
        """Send documents, YAML or JSON, and return the answer."""
        return decode(self._request("POST", _target(path, query), body, patience_s=patience_s), path)

    def put(self, path: str, query: Mapping[str, str], body: bytes) -> Answer:
        """Send what one thing should be, as JSON, and return the answer."""
        return decode(self._request("PUT", _target(path, query), body), path)

    def delete(self, path: str, query: Mapping[str, str]) -> Answer:
        """Have one thing taken away, and return the answer."""
        return decode(self._request("DELETE", _target(path, query)), path)

    def _request(self, method: str, target: str, body: bytes | None = None, *, patience_s: float = 0) -> bytes:
        token, why_not = _token(self._server.token_file)
        sent = {"Accept": "application/json", "Connection": "close"}
        if body is not None:
            sent["Content-Type"] = "application/yaml"
        if token:
            sent["Authorization"] = f"Bearer {token}"
        connection = self._connection(self._server.timeout_s + patience_s)
        try:
            # A body that is too long is refused before it is read: then sending fails, and the answer says why.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, target, body, sent)
            response = connection.getresponse()
            answer = response.read(MAX_ANSWER + 1)
            if response.length and len(answer) <= MAX_ANSWER:
                raise http.client.IncompleteRead(answer, response.length)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _unreachable(self._server.url, error) from error
        finally:
            connection.close()
        if len(answer) > MAX_ANSWER:
            raise Failure(Exit.BROKEN, f"the answer is longer than {MAX_ANSWER} bytes", "ask for less at once")
        if not 200 <= response.status < 300:  # noqa: PLR2004 - HTTP: success
            raise _refused(response.status, answer, why_not or self._server.token_file)
        return answer

    def lines(self, path: str, query: Mapping[str, str], after: str) -> Iterator[str]:
        """Yield the lines of a stream of server-sent events as they come, until the controller ends it.

        Args:
            path: of the stream.
            query: of the request.
            after: id of the last event that was received, empty for none.

        Raises:
            Failure: it cannot be reached, refuses, says nothing for too long, or sends what is no such stream.
        """
        token, why_not = _token(self._server.token_file)
        sent = {"Accept": "text/event-stream", **({"Last-Event-ID": after} if after else {})}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        connection = self._connection(self._server.timeout_s)
        try:
            connection.request("GET", _target(path, query), headers=sent)
            response = connection.getresponse()
            if response.status != OK:
                raise _refused(response.status, response.read(MAX_ANSWER), why_not or self._server.token_file)
            while line := response.readline(MAX_LINE + 1):
                if len(line) > MAX_LINE:
                    raise Failure(Exit.BROKEN, f"an event is longer than {MAX_LINE} bytes", "is it the controller?")
                yield line.decode("utf-8", "replace").rstrip("\r\n")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _unreachable(self._server.url, error) from error
        finally:
            connection.close()

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=timeout_s)
        try:
            context = ssl.create_default_context(cafile=self._server.ca_file)
        except (OSError, ssl.SSLError) as error:
            remedy = "give the authority's PEM file with --ca-file or RINGFENCE_CA_FILE"
            raise Failure(Exit.USAGE, f"{self._server.ca_file}: {error.strerror or error}", remedy) from error
        return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)


def segment(name: str) -> str:
    """Return a name as one segment of a path."""
    return urllib.parse.quote(name, safe="")


def is_in_clear(url: str) -> bool:
    """Say whether the token would cross a network unencrypted."""
    parts = _checked(url)
    return parts.scheme == "http" and not _is_local(parts.hostname or "")


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _checked(url: str) -> urllib.parse.SplitResult:
    remedy = f"write it as {DEFAULT_SERVER} (--server or RINGFENCE_SERVER)"
    try:
        parts = urllib.parse.urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError as error:
        raise Failure(Exit.USAGE, f"{url!r} is no address of a controller: {error}", remedy) from error
    if not usable or parts.username or parts.path.strip("/") or parts.query or parts.fragment:
        raise Failure(Exit.USAGE, f"{url!r} is no address of a controller", remedy)
    return parts


def _target(path: str, query: Mapping[str, str] | None) -> str:
    return f"{path}?{urllib.parse.urlencode(query)}" if query else path


def _token(path: str) -> tuple[str | None, str]:
    """Return the token, or None and why there is none."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs a tenth of the start-up time
            raw = file.read(MAX_TOKEN + 1).strip()
    except OSError as error:
        return None, f"{path}: {error.strerror}"
    if not re.fullmatch(rb"[\x21-\x7e]{1,%d}" % MAX_TOKEN, raw):
        return None, f"{path}: holds no token"
    return raw.decode("ascii"), ""


NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "UNKNOWN_PROTOCOL"})
"""What OpenSSL calls an answer that is no TLS."""


def _unreachable(url: str, error: Exception) -> Failure:
    if isinstance(error, ssl.SSLError) and error.reason in NO_TLS:
        remedy = f"the server speaks no TLS: use {url.replace('https:', 'http:', 1)}"
    elif isinstance(error, http.client.RemoteDisconnected | ConnectionResetError) and url.startswith("http:"):
        remedy = f"something listens there; if it serves https, use {url.replace('http:', 'https:', 1)}"
    elif isinstance(error, ssl.SSLCertVerificationError):
        remedy = "give the authority that signed the controller's certificate with --ca-file or RINGFENCE_CA_FILE"
    elif isinstance(error, TimeoutError):
        remedy = "the controller is busy or something drops the packets; allow more with --timeout"
    else:
        remedy = "start the controller with `ringfence run`, or say where it is with --server or RINGFENCE_SERVER"
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return Failure(Exit.UNREACHABLE, f"cannot reach the controller at {url}: {reason}", remedy)


CODE_OF = {401: Exit.UNAUTHORISED, 403: Exit.UNAUTHORISED, 404: Exit.NOT_FOUND, 503: Exit.UNREACHABLE}


def _refused(status: int, body: bytes, token: str) -> Failure:
    code = CODE_OF.get(status, Exit.REFUSED if 400 <= status < 500 else Exit.BROKEN)  # noqa: PLR2004 - HTTP: client error
    document = _document(body)
    problems = _problems(document)
    title = document.text("title", "") or http.client.responses.get(status, "no HTTP status")
    title = f"the controller says {status} {title}"
    if code is Exit.UNAUTHORISED:
        remedy = (
            f"the token comes from a file ({token}); the controller writes it at its first start, readable "
            "by its own user only: run as that user, or name a copy with --token-file or RINGFENCE_TOKEN_FILE"
        )
        return Failure(code, title, remedy)
    return Failure(code, title, "", problems)


def _document(body: bytes) -> Answer:
    """Return the problem document (RFC 9457); an empty one if the body is none."""
    try:
        answer = decode(body, "the problem")
    except Failure:
        return Answer({}, "the problem")
    return answer if isinstance(answer.value, dict) else Answer({}, "the problem")


def _problems(document: Answer) -> tuple[Problem, ...]:
    entries = document.items("errors")[:MAX_PROBLEMS]
    return tuple(
        Problem(e.text("path", ""), e.text("message", ""), e.text("remedy", ""), e.number("line", 0) or None)
        for e in entries
    )

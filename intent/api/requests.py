"""What a request says, checked: token, query, preconditions, body."""

from __future__ import annotations

import contextlib
import hmac
import re
from collections.abc import Iterator
from typing import Any, TypeVar

import falcon
from pydantic import BaseModel, ValidationError

from intent.api.errors import (
    BAD_REQUEST,
    LENGTH_REQUIRED,
    PRECONDITION_FAILED,
    TIMEOUT,
    TOO_LARGE,
    UNAUTHORIZED,
    UNAVAILABLE,
    UNPROCESSABLE,
    UNSUPPORTED_TYPE,
    RequestError,
)
from intent.api.operations import OPERATIONS, Operation
from intent.api.plug_refused import PlugRefused
from intent.schema.changes import NEVER
from intent.schema.problems import did_you_mean, echo

_Model = TypeVar("_Model", bound=BaseModel)
_ETAG = re.compile(r'"([0-9]{1,18})"')
_NUMBER = re.compile(r"[0-9]{1,18}")
_SECONDS = re.compile(r"[0-9]{1,6}(\.[0-9]{1,3})?")
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f-\x9f]*")


class TokenGuard:
    """Middleware: everything that is not declared open needs the bearer token, unknown paths too."""

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}".encode()

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        """Refuse a request without the token, before it is routed."""
        operation = OPERATIONS.get(req.path, {}).get(req.method)
        if operation is not None and operation.open:
            return
        given = (req.get_header("Authorization") or "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, self._expected):
            remedy = "send `Authorization: Bearer` with the token from the controller's state directory"
            raise RequestError(UNAUTHORIZED, "header.Authorization", "no valid bearer token", remedy)


class QueryGuard:
    """Middleware: query parameters are those the operation declares, each once and short."""

    def process_resource(
        self, req: falcon.Request, _resp: falcon.Response, _resource: object, _params: dict[str, Any]
    ) -> None:
        """Refuse what the operation does not declare."""
        operation = OPERATIONS.get(req.uri_template or "", {}).get(req.method)
        if operation is not None:
            check_query(req, operation)


def check_query(req: falcon.Request, operation: Operation) -> None:
    """Hold the query to its declaration.

    Raises:
        RequestError: an unknown, repeated, overlong, wrong or missing parameter.
    """
    declared = {parameter.name: parameter for parameter in operation.query}
    for name, value in req.params.items():
        path = f"query.{name[:64]}"
        if name not in declared:
            remedy = did_you_mean(name[:64], declared, f"there are {', '.join(declared) or 'none here'}")
            raise RequestError(BAD_REQUEST, path, f"there is no query parameter {echo(name)} here", remedy)
        if not isinstance(value, str):
            raise RequestError(BAD_REQUEST, path, "it is given twice", "give it once")
        schema = declared[name].schema
        if len(value) > schema.get("maxLength", 64) or not _PRINTABLE.fullmatch(value):
            raise RequestError(BAD_REQUEST, path, "it is too long or not printable", "shorten it")
        if value not in schema.get("enum", [value]):
            raise RequestError(BAD_REQUEST, path, f"{echo(value)} is not known", f"say one of {schema['enum']}")
    for name, parameter in declared.items():
        if parameter.required and not req.params.get(name):
            raise RequestError(BAD_REQUEST, f"query.{name}", "it is missing", parameter.description)


def text(req: falcon.Request, name: str, default: str = "") -> str:
    """Return a checked query parameter."""
    return str(req.params.get(name, default))


def number(req: falcon.Request, name: str, most: int) -> int | None:
    """Return a query parameter that is a whole number up to `most`, or None where it is not given."""
    given = req.params.get(name)
    if given is None:
        return None
    if not isinstance(given, str) or not _NUMBER.fullmatch(given) or int(given) > most:
        raise RequestError(BAD_REQUEST, f"query.{name}", f"{echo(given)} is no number up to {most}", "correct it")
    return int(given)


def seconds(req: falcon.Request, name: str, default_s: float, most_s: float) -> float:
    """Return a query parameter that is a time in seconds."""
    given = req.params.get(name)
    if given is None:
        return min(default_s, most_s)
    if not isinstance(given, str) or not _SECONDS.fullmatch(given) or float(given) > most_s:
        remedy = f"write seconds, 0 to {most_s:g}"
        raise RequestError(BAD_REQUEST, f"query.{name}", f"{echo(given)} is no time up to {most_s:g} s", remedy)
    return float(given)


def expected_revision(req: falcon.Request, current: int) -> int | None:
    """Return the document revision that If-Match or If-None-Match asks for; None where neither is given.

    Args:
        req: the request.
        current: what the document is at now, `NEVER` for none: `If-Match: *` asks only that there is one.
    """
    match, none_match = req.get_header("If-Match"), req.get_header("If-None-Match")
    if none_match is not None:
        if none_match.strip() != "*" or match is not None:
            remedy = "send `If-None-Match: *` alone to create only"
            raise RequestError(BAD_REQUEST, "header.If-None-Match", "only `*` is read here", remedy)
        return NEVER
    if match is None:
        return None
    if match.strip() == "*":
        if current == NEVER:
            raise RequestError(
                PRECONDITION_FAILED, "header.If-Match", "there is no such document", "send If-None-Match to create it"
            )
        return current
    found = _ETAG.fullmatch(match.strip())
    if found is None or int(found[1]) == NEVER:
        remedy = 'send one ETag as it was received, for instance "7"'
        raise RequestError(BAD_REQUEST, "header.If-Match", f"{echo(match)} is no ETag of a document", remedy)
    return int(found[1])


def body(req: falcon.Request, most: int) -> bytes:
    """Read the body; its size is known and within bounds before a byte is read.

    Raises:
        RequestError: no length, too long, encoded, shorter than it says, or not there in time.
    """
    if req.get_header("Content-Encoding") not in (None, "identity"):
        message = "an encoded body is not read"
        raise RequestError(UNSUPPORTED_TYPE, "header.Content-Encoding", message, "send it as it is")
    length = req.content_length
    if length is None or req.get_header("Transfer-Encoding") is not None:
        message = "the body has no length"
        raise RequestError(LENGTH_REQUIRED, "header.Content-Length", message, "send Content-Length")
    if length > most:
        message = f"the body has {length} bytes, the limit is {most}"
        raise RequestError(TOO_LARGE, "body", message, "split the documents into several requests")
    try:
        data = req.bounded_stream.read(length)
    except OSError as error:  # it fell silent, or hung up
        message = f"the body of {length} bytes did not come in time"
        raise RequestError(TIMEOUT, "body", message, "send it again") from error
    if len(data) < length:
        raise RequestError(BAD_REQUEST, "body", f"the body ended after {len(data)} of {length} bytes", "send it again")
    return data


def model(req: falcon.Request, most: int, kind: type[_Model], remedy: str) -> _Model:
    """Read the body, which is JSON, as a model.

    Raises:
        RequestError: as `body` does; or it is not what the model says, with the first place where.
    """
    data = body(req, most)
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first: Any = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(["body", *(str(part)[:80] for part in first["loc"])])
        raise RequestError(UNPROCESSABLE, where, first["msg"], remedy) from error


@contextlib.contextmanager
def refusals(place: str) -> Iterator[None]:
    """Make the refusal of what is done on a host, if there is one, that of the request."""
    try:
        yield
    except PlugRefused as refused:
        status = UNAVAILABLE if refused.passing else UNPROCESSABLE
        raise RequestError(status, place, str(refused), refused.remedy) from refused


def unprocessable(path: str, message: str, remedy: str) -> RequestError:
    """Return the error of a request that is well formed and cannot be answered."""
    return RequestError(UNPROCESSABLE, path, message, remedy)

"""Errors to clients: always problem+json with a path and a remedy, never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import falcon

from intent.api.answers import ErrorAnswer, ProblemAnswer
from intent.api.ports import FaultPort
from intent.schema.changes import ChangeError, ConflictError, StoreUnavailableError
from intent.schema.problems import DocumentError, SyntaxRefusedError

# RFC 9110, 15.5 and 15.6
BAD_REQUEST, UNAUTHORIZED, NOT_FOUND = 400, 401, 404
TIMEOUT, LENGTH_REQUIRED, PRECONDITION_FAILED, TOO_LARGE, UNSUPPORTED_TYPE, UNPROCESSABLE = 408, 411, 412, 413, 415, 422
FAULT, UNAVAILABLE = 500, 503
_UNREAD = (TIMEOUT, LENGTH_REQUIRED, TOO_LARGE)
"""Answers before the body was read: the connection cannot be used further."""
PROBLEM_TYPE = "application/problem+json"


class RequestError(Exception):
    """A request was refused for one reason."""

    def __init__(self, status: int, path: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.status = status
        self.error = ErrorAnswer(path=path, message=message, remedy=remedy)


class MissingError(DocumentError):
    """Documents to delete do not exist."""


def add_handlers(app: falcon.App[Any, Any], faults: FaultPort) -> None:
    """Make every error of the app an RFC 9457 problem."""

    def on_fault(_req: falcon.Request, resp: falcon.Response, error: Exception, _params: dict[str, Any]) -> None:
        faults.report(error)
        fault = ErrorAnswer(path="", message="a fault of the server", remedy="see the server's log")
        answer(resp, FAULT, [fault])

    handlers: dict[type[Exception], Callable[..., None]] = {
        Exception: on_fault,
        falcon.HTTPError: _on_http_error,
        RequestError: _on_request_error,
        DocumentError: _on_document_error,
        ChangeError: _on_change_error,
        StoreUnavailableError: _on_store_error,
    }
    for kind, handler in handlers.items():
        app.add_error_handler(kind, handler)


def answer(resp: falcon.Response, status: int, errors: list[ErrorAnswer]) -> None:
    """Answer with a problem."""
    detail = errors[0].message if errors else ""
    resp.status = line = falcon.code_to_http_status(status)
    title = line.partition(" ")[2]
    body = ProblemAnswer(title=title, status=status, detail=detail, errors=errors)
    resp.content_type = PROBLEM_TYPE
    resp.text = body.model_dump_json(by_alias=True)


def _on_request_error(_req: falcon.Request, resp: falcon.Response, error: RequestError, _params: object) -> None:
    answer(resp, error.status, [error.error])
    if error.status == UNAUTHORIZED:
        resp.set_header("WWW-Authenticate", 'Bearer realm="ringfence"')
    if error.status in _UNREAD:
        resp.set_header("Connection", "close")


def _on_document_error(_req: falcon.Request, resp: falcon.Response, error: DocumentError, _params: object) -> None:
    special = {SyntaxRefusedError: BAD_REQUEST, MissingError: NOT_FOUND}
    errors = [ErrorAnswer(path=p.path, message=p.message, remedy=p.remedy, line=p.line) for p in error.problems]
    answer(resp, special.get(type(error), UNPROCESSABLE), errors)


def _on_change_error(_req: falcon.Request, resp: falcon.Response, error: ChangeError, _params: object) -> None:
    status = PRECONDITION_FAILED if isinstance(error, ConflictError) else NOT_FOUND
    answer(resp, status, [ErrorAnswer(path=error.path, message=error.message, remedy=error.remedy)])


def _on_store_error(_req: falcon.Request, resp: falcon.Response, error: StoreUnavailableError, _params: object) -> None:
    answer(resp, UNAVAILABLE, [ErrorAnswer(path="", message=str(error), remedy="try again")])


def _on_http_error(_req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, _params: object) -> None:
    resp.set_headers(error.headers or {})
    message = error.description or error.title or "the request was refused"
    remedy = "see /openapi.json for what there is"
    answer(resp, error.status_code, [ErrorAnswer(path="request", message=message, remedy=remedy)])

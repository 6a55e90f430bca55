"""Every operation of the API, declared once: the router, the check of query parameters and OpenAPI read this."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeAlias

from intent.api import answers, gauge_answers
from intent.api.host_bodies import NAMED, SINGLE, HostChangedAnswer, HostsAnswer
from intent.api.lease_bodies import LeaseAnswer, LeaseForgottenAnswer, LeasesAnswer
from intent.api.seen import EventAnswer, TopologyAnswer
from intent.api.verdict_answers import VerdictAnswer

KIND_OF = {
    "networks": "Network",
    "groups": "Group",
    "services": "Service",
    "policies": "Policy",
    "endpoints": "Endpoint",
    "routers": "Router",
    "uplinks": "Uplink",
    "queues": "Queue",
    "mirrors": "Mirror",
    "tiers": "Tiers",
}
"""The kind of the documents under `/v1/<plural>`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter."""

    name: str
    description: str
    schema: dict[str, Any]
    required: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    summary: str
    answer: type[answers.Answer] | None
    """None: free JSON."""
    query: tuple[Parameter, ...] = ()
    body: str | None = None
    """The kind of document it takes, `*` for any number of any kind, `names` for kinds and names of documents,
    `kubernetes` for objects of Kubernetes, `host KIND` for what is set up on a host,
    `port` for what a port should be, `lease` for what addresses a driver wants and has, None for no body."""
    conditional: bool = False
    """Takes If-Match (and If-None-Match to create)."""
    open: bool = False
    """Needs no token."""
    stream: bool = False
    """Answers with server-sent events, of which `answer` is the data."""


Operations: TypeAlias = dict[str, dict[str, Operation]]
"""By path template and method."""

_TEXT = {"type": "string", "maxLength": 1024}
_NAME = {"type": "string", "maxLength": 253}
_COUNT = {"type": "integer", "minimum": 0}
_WRITE = (
    Parameter("dry_run", "`1`: say what would happen, change nothing.", {"enum": ["0", "1"]}),
    Parameter("wait", "`realized`: answer when the switches confirmed it.", {"enum": ["realized"]}),
    Parameter("timeout", "Longest wait in seconds; default 30.", {"type": "number", "minimum": 0}),
    Parameter("author", "Who asks, for the revision.", {"type": "string", "maxLength": 128}),
    Parameter("message", "Why, for the revision.", _TEXT),
)
_NETWORK = Parameter("network", "Only this network; needed where addresses alone are ambiguous.", _NAME)
_SERVICE = Parameter("service", "`tcp/80`, `icmp`, `proto/47` or the name of a Service.", _NAME, required=True)


_HOST = Parameter(
    "host", "OVSDB target of the host; needed where there are several.", {"type": "string", "maxLength": 512}
)


def _of_kind(plural: str, kind: str) -> Operations:
    one = f"/v1/{plural}/{{name}}"
    return {
        f"/v1/{plural}": {"GET": Operation(f"List all documents of kind {kind}", answers.DocumentsAnswer)},
        one: {
            "GET": Operation(f"One {kind}", answers.DocumentAnswer),
            "PUT": Operation(f"Create or replace a {kind}", answers.AppliedAnswer, _WRITE, kind, conditional=True),
            "DELETE": Operation(f"Delete a {kind}", answers.AppliedAnswer, _WRITE, conditional=True),
        },
        f"{one}/status": {"GET": Operation(f"How far the switches are with a {kind}", answers.IntentStatusAnswer)},
    }


OPERATIONS: Operations = {
    "/v1/apply": {
        "POST": Operation(
            "Create or replace documents: all of them as one revision, or none",
            answers.AppliedAnswer,
            (*_WRITE, Parameter("expected_revision", "Refuse unless the store is at it.", _COUNT)),
            "*",
        )
    },
    "/v1/delete": {
        "POST": Operation(
            "Delete documents: all of them as one revision, or none",
            answers.AppliedAnswer,
            (
                *_WRITE,
                Parameter("expected_revision", "Refuse unless the store is at it.", _COUNT),
                Parameter("missing", "`ignore`: what is not there is no error.", {"enum": ["refuse", "ignore"]}),
            ),
            "names",
        )
    },
    "/v1/import/kubernetes": {
        "POST": Operation(
            "Put what Kubernetes objects mean: all of them as one revision, or none",
            answers.AppliedAnswer,
            (
                *_WRITE,
                Parameter("expected_revision", "Refuse unless the store is at it.", _COUNT),
                Parameter("network", "Network of the pods; default `pods`.", _NAME),
            ),
            "kubernetes",
        )
    },
    "/v1/revisions": {
        "GET": Operation(
            "Revisions with their diffs, newest first",
            answers.RevisionsAnswer,
            (
                Parameter("before", "Only revisions before this one.", _COUNT),
                Parameter("limit", "Revisions of one page; default 50.", _COUNT),
            ),
        )
    },
    "/v1/revisions/{number}/revert": {
        "POST": Operation(
            "Take a revision back: its documents as they were before it, as a new revision, or none",
            answers.AppliedAnswer,
            (*_WRITE, Parameter("expected_revision", "Refuse unless the store is at it.", _COUNT)),
        )
    },
    "/v1/status": {"GET": Operation("How far the switches are, with every document", answers.StatusAnswer)},
    "/v1/switches": {"GET": Operation("The managed switches", answers.SwitchesAnswer)},
    "/v1/counters": {"GET": Operation("What rules decided and guards dropped", answers.CountersAnswer)},
    "/v1/observed": {"GET": Operation("What observed policies would change", answers.ObservedAnswer)},
    "/v1/topology": {"GET": Operation("Hosts, bridges, ports, links, tunnels, networks, endpoints", TopologyAnswer)},
    "/v1/events": {
        "GET": Operation(
            "What happens, as server-sent events that can be resumed with Last-Event-ID",
            EventAnswer,
            (
                Parameter(
                    "after",
                    "Begin after this id; `oldest`: with all that is kept. Default: with what happens from now on.",
                    {"type": "string", "maxLength": 32},
                ),
            ),
            stream=True,
        )
    },
    "/v1/ports": {"GET": Operation("The ports that were made here, and where to make more", answers.PortsAnswer)},
    "/v1/ports/{name}": {
        "PUT": Operation("Put a network device on a host's integration bridge", answers.PluggedAnswer, body="port"),
        "DELETE": Operation("Take it off", answers.PluggedAnswer, (_HOST,)),
    },
    "/v1/leases": {"GET": Operation("The addresses that are leased to hosts", LeasesAnswer)},
    "/v1/leases/{holder}": {
        "PUT": Operation(
            "Lease addresses to a host's driver, and take back what it names no more", LeaseAnswer, body="lease"
        ),
        "DELETE": Operation("Take back the addresses of a host that is gone", LeaseForgottenAnswer),
    },
    "/v1/hosts": {"GET": Operation("The managed hosts", HostsAnswer)},
    "/v1/hosts/{host}": {"DELETE": Operation("Forget a host that dialled in and is away", HostChangedAnswer)},
    "/v1/live/endpoints": {
        "GET": Operation("The endpoints that are plugged in", answers.LiveEndpointsAnswer, (_NETWORK,))
    },
    "/v1/live/counters": {
        "GET": Operation(
            "What the plugged-in endpoints received, sent, were refused and opened",
            gauge_answers.EndpointsCountersAnswer,
            (
                _NETWORK,
                Parameter("limit", "Most endpoints of a page; default 1000.", _COUNT),
                Parameter("after", "Only endpoints whose names come after this one.", _NAME),
            ),
        )
    },
    "/v1/endpoints/{name}/counters": {
        "GET": Operation(
            "What one endpoint received, sent, was refused and opened, and what is kept of its past",
            gauge_answers.EndpointCountersAnswer,
            (
                Parameter(
                    "history",
                    "`seconds`: the last minute by the second; `minutes`: the last hour.",
                    {"enum": ["seconds", "minutes"]},
                ),
            ),
        )
    },
    "/v1/verdict": {
        "GET": Operation(
            "May `from` open `service` to `to`, and why",
            VerdictAnswer,
            (
                Parameter("from", "Name of a live endpoint, or an IP address.", _NAME, required=True),
                Parameter("to", "Name of a live endpoint, or an IP address.", _NAME, required=True),
                _SERVICE,
                _NETWORK,
            ),
        )
    },
    "/v1/matrix": {"GET": Operation("Who may open a service to whom", answers.MatrixAnswer, (_SERVICE, _NETWORK))},
    "/v1/health": {"GET": Operation("Whether the server answers", answers.HealthAnswer, open=True)},
    "/openapi.json": {"GET": Operation("This description", None, open=True)},
}
for _setting in (*NAMED, *SINGLE):
    _path = f"/v1/hosts/{{host}}/{_setting}" + ("/{name}" if _setting in NAMED else "")
    OPERATIONS[_path] = {
        "PUT": Operation(f"Set up {_setting} on a host", HostChangedAnswer, _WRITE[:1], f"host {_setting}"),
        "DELETE": Operation(f"Take {_setting} away from a host", HostChangedAnswer, _WRITE[:1]),
    }
for _plural, _kind in KIND_OF.items():
    OPERATIONS |= _of_kind(_plural, _kind)

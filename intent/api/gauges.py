"""What endpoints received, sent, were refused and opened: of all in one call, or of one with its past."""

from __future__ import annotations

from datetime import UTC, datetime

import falcon

from intent.api import requests, verdicts
from intent.api.errors import NOT_FOUND, RequestError
from intent.api.figures import Figures, Reading
from intent.api.gauge_answers import (
    EndpointCountersAnswer,
    EndpointsCountersAnswer,
    FiguresAnswer,
    MomentAnswer,
    ReasonAnswer,
    TotalsAnswer,
)
from intent.api.ports import Limits, Ports
from intent.api.writes import send
from intent.schema.problems import did_you_mean, echo
from topology.model import Inventory


class AllGauges:
    """`/v1/live/counters`."""

    def __init__(self, ports: Ports, limits: Limits) -> None:
        self._ports, self._limits = ports, limits

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with a page of the endpoints that are plugged in."""
        network, after = requests.text(req, "network"), requests.text(req, "after")
        verdicts.require_network(self._ports.store.intents(), network)
        most = requests.number(req, "limit", self._limits.endpoints) or self._limits.endpoints
        networks = networks_of(self._ports.inventory.current())
        found = [
            reading
            for reading in self._ports.gauges.readings()
            if reading.endpoint > after
            and network in ("", networks.get(reading.endpoint))
            and reading.endpoint in networks
        ]
        items = [_answer(reading, networks[reading.endpoint]) for reading in found[:most]]
        send(resp, EndpointsCountersAnswer(items=items, after=items[-1].name if len(found) > most else None))


class OneGauge:
    """`/v1/endpoints/{name}/counters`."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Answer with one endpoint's, plugged in or until lately."""
        gauges, networks = self._ports.gauges, networks_of(self._ports.inventory.current())
        reading = gauges.reading(name)
        if reading is None:
            plugged = name in networks
            message = f"nothing is known yet of {echo(name)}" if plugged else f"no endpoint {echo(name)} is plugged in"
            remedy = (
                "ask again in a second" if plugged else did_you_mean(name, networks, "`ringfence endpoints` shows all")
            )
            raise RequestError(NOT_FOUND, f"endpoints/{name[:253]}", message, remedy)
        answer = _answer(reading, networks.get(name))
        history = requests.text(req, "history")
        if history:
            past = gauges.past(name, minutes=history == "minutes")
            moments = [MomentAnswer(at=_when(m.at), totals=_totals(m.totals)) for m in past]
            answer = answer.model_copy(update={"history": moments})
        send(resp, answer)


def networks_of(inventory: Inventory) -> dict[str, str]:
    """Return the network of every endpoint that is plugged in."""
    return {e.name: e.network for e in inventory.endpoints.values()} | {
        p.name: p.network for p in inventory.unaddressed
    }


def _answer(reading: Reading, network: str | None) -> EndpointCountersAnswer:
    reasons = sorted(reading.reasons.items(), key=lambda item: (-item[1], item[0]))
    rates = dict(zip(Figures._fields, (round(rate, 2) for rate in reading.rates), strict=True))
    return EndpointCountersAnswer(
        name=reading.endpoint,
        network=network,
        since=_when(reading.since),
        at=_when(reading.at),
        totals=_totals(reading.totals),
        rates=FiguresAnswer.model_validate(rates),
        reasons=[
            ReasonAnswer.model_validate({"figure": figure, "reason": why, "packets": packets})
            for (figure, why), packets in reasons
        ],
    )


def _totals(totals: Figures) -> TotalsAnswer:
    return TotalsAnswer.model_construct(**totals._asdict())


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

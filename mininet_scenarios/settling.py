"""Waiting until a controller knows a scenario's state and its switches hold what follows from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from mininet_scenarios.controller import Controller
from mininet_scenarios.expectation import World
from mininet_scenarios.private_ovs import PrivateOvs
from mininet_scenarios.rest import RestError

SETTLE_TIMEOUT_S = 90.0
"""A machine that is busy with other things may take its time; a second is usual."""
QUIET_S = 0.15
"""So long the flows must have stayed as they are."""


def settle(controller: Controller, world: World, flows: Callable[[], str]) -> None:
    """Return when the controller knows this state and the switches' flows have come to rest.

    Raises:
        RestError: not in time; the message says what is missing.
    """
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    problem, before, quiet_since = unsettled(controller, world), "", time.monotonic()
    while problem is not None or time.monotonic() < quiet_since + QUIET_S:
        if time.monotonic() > deadline:
            raise RestError(f"not realized after {SETTLE_TIMEOUT_S} s: {problem or 'the flows keep changing'}")
        time.sleep(0.02)
        # The API's `realized` counts revisions; a plugged port makes none, so the flows must tell.
        problem, now = unsettled(controller, world), flows()
        if now != before:
            before, quiet_since = now, time.monotonic()


def await_verdicts(switches: Iterable[PrivateOvs]) -> None:
    """Return when nothing goes on with older verdicts than the tables': the revalidators of all have gone round."""
    several = list(switches)
    # At rest a round begins twice a second, in each switch at a time of its own.
    with ThreadPoolExecutor(len(several)) as pool:
        list(pool.map(lambda ovs: ovs.appctl("revalidator/wait"), several))


def unsettled(controller: Controller, world: World) -> str | None:
    """Return in what the controller's view differs from this state, or None."""
    realized = controller.rest.call("GET", "/v1/status")["realized"]
    if realized["phase"] != "realized":
        return f"revision is {realized['phase']}: {realized['reason']}"
    listed = controller.rest.call("GET", "/v1/live/endpoints")
    live = {item["name"]: item for item in listed["items"]}
    if live.keys() != world.live():
        reports = "; ".join(f"{r['subject']}: {r['problem']}" for r in listed["reports"])
        return f"the controller sees {sorted(live)}, not {sorted(world.live())}: {reports}"
    for name, item in live.items():
        wanted = world.workloads[name].labels
        if {key: item["labels"].get(key) for key in wanted} != wanted:
            return f"labels of {name} are {item['labels']}, not {dict(wanted)}"
    return None

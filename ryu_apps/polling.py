"""Asks every switch once a second what its ports counted, and takes the samples it shows; implements `GaugePort`."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from intent.api.figures import Moment, Reading
from intent.compiler import cookie
from intent.compiler import fields as f
from intent.compiler.cookie import Kind, Origin
from intent.compiler.fields import Field
from intent.inventory import Built
from intent.schema.changes import StoreUnavailableError
from ryu_apps.attribution import Attribution, Pair
from ryu_apps.conversation import SessionError
from ryu_apps.gauges import Gauges
from ryu_apps.logs import Limited
from ryu_apps.owners import Owners, Ports
from ryu_apps.session import Role, Session
from ryu_apps.wire import PacketIn, WireError
from topology.events import Row
from topology.frozen import FrozenMap

if TYPE_CHECKING:
    from ryu_apps.controller import Controller
    from ryu_apps.counting import Counted

log = logging.getLogger("ringfence.gauges")

INTERVAL_S = 1.0
PIECE = 256
"""Ports whose counters are taken before others come first: about a millisecond."""
KEEP_S = 10.0
"""Totals are made durable so often: a controller that is killed loses no more of what only it knows (drops,
connections), and nothing of what interfaces count."""
LOOK_S = 0.5
"""Whose each port is, is looked up no more often: samples come faster, and plans may."""
COUNTED = frozenset({Kind.GUARD, Kind.RULE, Kind.ISOLATION, Kind.POSTURE})
"""Kinds whose flows count nothing but what they drop."""
OPENED_COUNTER = cookie.encode(Origin(Kind.SAMPLE, Kind.OPENED))
POLICY = frozenset({Kind.RULE, Kind.ISOLATION, Kind.POSTURE})


class Polling:
    """One thread that asks, and one for each switch that has not answered yet."""

    def __init__(self, controller: Controller, counted: Counted) -> None:
        """Go on from the totals that are durable."""
        self.stopped = False
        self.interval_s = INTERVAL_S
        self.gauges = _kept(controller.memory.gauges)
        self._controller = controller
        self._counted = counted
        self._woken = threading.Event()
        self._limited = Limited(log)
        self._asked: set[int] = set()
        """Switches that are asked right now."""
        self._attributions: dict[int, Attribution] = {}
        self._following = Owners()
        self._owners: Ports = {}
        self._owners_of: Built | None = None
        self._looked_at = -LOOK_S
        self._kept_at = time.monotonic()

    # -- the thread ----------------------------------------------------------------------------

    def run(self) -> None:
        """Ask until stopped."""
        while not self.stopped:
            began_at = time.monotonic()
            self.turn()
            self._woken.wait(max(self.interval_s - (time.monotonic() - began_at), 0.0))

    def stop(self) -> None:
        """End the thread soon; the totals are made durable."""
        self.stopped = True
        self._woken.set()
        self.keep()

    def turn(self) -> None:
        """Ask every switch that has answered before."""
        owners = self._who()
        for session in self._controller.switches.sessions():
            if session.role is Role.MASTER and session.dpid in owners and session.dpid not in self._asked:
                self._asked.add(session.dpid)
                name = f"gauges-{session.dpid:016x}"
                threading.Thread(target=self._ask, args=(session,), name=name, daemon=True).start()
        if self._owners_of is not None and time.monotonic() - self._kept_at >= KEEP_S:
            self.gauges.forget(time.time(), [owner for ports in owners.values() for owner in ports.values()])
            self._attributions = {d: a for d, a in self._attributions.items() if d in owners}
            self.keep()

    def _who(self, *, newest: bool = False) -> Ports:
        """Return whose each port is, by datapath id and port number, as the `newest` plan has it, or a late one."""
        built, now = self._controller.planner.built, time.monotonic()
        if built is not None and built is not self._owners_of and (newest or now - self._looked_at >= LOOK_S):
            self._owners, self._owners_of, self._looked_at = (
                self._following.follow(built.inventory, self._rows()),
                built,
                now,
            )
        return self._owners

    def _rows(self) -> dict[int, FrozenMap[str, Row]]:
        """Return what is said of the interfaces of each switch."""
        planner = self._controller.planner
        hosts = planner.site.hosts
        bridges = [bridge for bridge in planner.bridges() if bridge.host in hosts]
        return {bridge.dpid: hosts[bridge.host].rows for bridge in bridges if bridge.dpid is not None}

    def keep(self) -> None:
        """Make the totals durable."""
        self._kept_at = time.monotonic()
        try:
            self._controller.memory.keep_gauges(self.gauges.dump())
        except StoreUnavailableError as error:
            self._limited.warning("keep", "the totals of endpoints are not durable: %s", error)

    # -- one switch ----------------------------------------------------------------------------

    def _ask(self, session: Session) -> None:
        dpid = session.dpid
        try:
            ports, attribution = session.port_stats(), self._attribution(dpid)
            totals = session.totals([_counter(c) for c in attribution.wanted(time.monotonic())])
            for value, packets in totals.items():
                reason = cookie.OPENED if value == OPENED_COUNTER else value
                for pair, share in attribution.read(reason, packets):
                    self._blame(dpid, reason, pair, share)
            now, owners = time.time(), self._who().get(dpid, {})
            for at in range(0, len(ports), PIECE):
                self.gauges.ports(now, dpid, ports[at : at + PIECE], owners)
                time.sleep(0)  # whoever waits for an answer comes first
        except (SessionError, WireError) as error:
            if not session.exchange.closed:
                self._limited.warning(f"{dpid:016x}", "%016x: no counters: %s", dpid, error)
        finally:
            self._asked.discard(dpid)

    def _attribution(self, dpid: int) -> Attribution:
        return self._attributions.setdefault(dpid, Attribution())

    # -- samples -------------------------------------------------------------------------------

    def sample(self, session: Session, packet: PacketIn) -> None:
        """Take a packet that a switch showed: dropped, or the opening of a connection."""
        reason = cookie.of_reason(_register(packet, f.REASON.field))
        dpid = session.dpid
        if reason is None or dpid not in self._who():
            return
        pair = Pair(packet.in_port, _register(packet, f.OUT_PORT.field) & 0xFFFF)
        if _is_counted(reason):
            before = self._controller.reconciler.counters.packets_before(dpid, _counter(reason))
            self._attribution(dpid).sample(time.monotonic(), reason, pair, before)
        self._blame(dpid, reason, pair, 1)

    def _blame(self, dpid: int, reason: int, pair: Pair, packets: int) -> None:
        ports, origin, now = self._who().get(dpid, {}), cookie.decode(reason), time.time()
        if not ports.keys() >= {*pair} - {0}:  # somebody who was plugged in just now
            ports = self._who(newest=True).get(dpid, {})
        source, destination = ports.get(pair.source), ports.get(pair.destination)
        if origin is None:
            return
        opened = origin.kind is Kind.OPENED
        why = "" if opened else self._counted.cause(origin) or "unknown"
        if source is not None:
            self.gauges.add(now, source.endpoint, "opened" if opened else "dropped", packets, why)
        if destination is not None and (opened or origin.kind in POLICY):
            self.gauges.add(now, destination.endpoint, "accepted" if opened else "kept", packets, why)

    # -- answers -------------------------------------------------------------------------------

    def readings(self) -> Sequence[Reading]:
        """Return every endpoint's, by name."""
        return self.gauges.readings()

    def reading(self, endpoint: str) -> Reading | None:
        """Return one endpoint's; None while nothing is known of it."""
        return self.gauges.reading(endpoint)

    def past(self, endpoint: str, *, minutes: bool) -> Sequence[Moment]:
        """Return what is kept of an endpoint's past, oldest first."""
        return self.gauges.past(endpoint, minutes=minutes)


def _register(packet: PacketIn, field: Field) -> int:
    return next((term.value for term in packet.metadata if term.field is field), 0)


def _counter(reason: int) -> int:
    """Return the cookie of the flows that count what is sampled for a reason."""
    return OPENED_COUNTER if reason == cookie.OPENED else reason


def _is_counted(reason: int) -> bool:
    origin = cookie.decode(reason)
    return reason == cookie.OPENED or (origin is not None and origin.kind in COUNTED)


def _kept(raw: bytes | None) -> Gauges:
    """Return the totals that are durable; what cannot be read is let go, for nothing depends on it."""
    try:
        return Gauges.load(raw) if raw else Gauges()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("the totals of endpoints cannot be read (%r): they begin anew", error)
        return Gauges()

"""What a flow's cookie says: to whom its counters, drops and traces belong.

```
 63      56 55      48 47      40 39      32 31                              0
+----------+----------+----------+----------+---------------------------------+
|  0x52    |   kind   | direction|  detail  |             number              |
+----------+----------+----------+----------+---------------------------------+
```

0x52 marks flows of Ringfence. `number` is a guard, an attachment, a rule, a tier or a network,
by `kind`. `direction` is 1 for egress, 2 for ingress, 0 where there is none; `detail` is a tally's column.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from intent.model import Direction

MARK = 0x52


class Kind(enum.IntEnum):
    """What kind of thing a flow speaks for."""

    PIPELINE = 1
    """Leads from table to table, and what belongs to nobody else."""
    GUARD = 2
    """Dropped before or beside policy; the number is a `Guard`."""
    ENDPOINT = 3
    """Knows one address of an endpoint; the number is its attachment."""
    CLAUSE = 4
    """A clause of conjunctions; counts nothing, the conjunction's own flow does."""
    RULE = 5
    """A rule decided; the number is the rule."""
    ISOLATION = 6
    """An isolating tier ended; the number is its place in the list of tiers."""
    POSTURE = 7
    """No rule decided; the number is the network."""
    LEARN = 8
    """Shown to the controller, which learns addresses; the number is the OpenFlow port."""
    CANDIDATE = 9
    """Decided in the candidate set; changes no verdict."""
    TALLY = 10
    """Counts what the candidate set would change."""
    REJECT = 11
    """Shown to the controller, which tells the sender."""
    PROBE = 12
    """Shown to the controller, which sent the packet itself to learn what the switch can do."""
    OPENED = 13
    """A connection was opened, or changed hands: what NOTE is told, no flow's own cookie."""
    SAMPLE = 14
    """Counted, and some of it shown to the controller; the number is the kind it is about, 0 for policy."""
    QUEUE = 30
    """Held to the rate of a queue; the number is that rate, in kilobits a second."""
    MIRROR = 31
    """Copied; the number is the mirror."""
    LINK = 20
    """Shown to the controller, which sent it from the other end of the wire; the number is the OpenFlow port."""


class Guard(enum.IntEnum):
    """Why a frame was dropped before or beside policy."""

    TAGGED = 1
    """A VLAN tag on an access port."""
    SOURCE = 2
    """No endpoint has this port, MAC and address."""
    ARP = 3
    """ARP that is no request of the port's own address, or an answer nobody has."""
    NEIGHBOUR = 4
    """Neighbour discovery other than an own solicitation, or for an address nobody has."""
    ROUTER = 5
    """Router advertisement, router solicitation or redirect."""
    DHCP = 6
    """DHCP reply from other than the network's declared server."""
    MULTICAST = 7
    """To a multicast or broadcast address."""
    DESTINATION = 8
    """No endpoint of the network has this MAC and address."""
    INVALID = 9
    """Conntrack finds the packet belongs to no possible connection."""
    CHANGED_HANDS = 10
    """A reply in a connection of an attachment that is gone."""
    ETHERTYPE = 11
    """Neither IPv4, IPv6 nor ARP."""
    TUNNEL = 12
    """From a tunnel, and from no endpoint of the host that sent it."""
    TTL = 13
    """Its hops are used up, so no router may pass it on."""
    SPOOFED = 14
    """From the world, with a source address of the routing domain or of no host."""
    TRANSLATION = 15
    """To or from the world by an uplink that translates addresses, and no translation is for it."""
    LINK = 20
    """From another switch, and no endpoint's, or to nobody here."""


class Origin(NamedTuple):
    """The thing a flow speaks for."""

    kind: Kind
    number: int
    direction: Direction | None = None
    detail: int = 0
    """0..255."""


_KIND = {int(kind): kind for kind in Kind}
_DIRECTION = {0: None, 1: Direction.EGRESS, 2: Direction.INGRESS}


def encode(origin: Origin) -> int:
    """Return the 64-bit cookie of an origin."""
    kind, number, direction, detail = origin
    code = 0 if direction is None else 1 if direction is Direction.EGRESS else 2  # an enumeration hashes slowly
    return MARK << 56 | kind << 48 | code << 40 | detail << 32 | number


def decode(cookie: int) -> Origin | None:
    """Return what a cookie says, None if it is not Ringfence's."""
    kind, direction, number = cookie >> 48 & 0xFF, cookie >> 40 & 0xFF, cookie & 0xFFFFFFFF
    if cookie >> 56 != MARK or direction not in _DIRECTION or kind not in _KIND:
        return None
    return Origin(_KIND[kind], number, _DIRECTION[direction], cookie >> 32 & 0xFF)


_KIND_AT, _DIRECTION_AT, _NUMBER = 28, 26, (1 << 26) - 1
"""Where `reason` has its parts."""


def reason(cookie: int) -> int:
    """Return what a cookie says in 32 bits, as NOTE is told it; a number beyond 26 bits becomes 0."""
    number = cookie & 0xFFFFFFFF
    placed = (cookie >> 48 & 0xF) << _KIND_AT | (cookie >> 40 & 3) << _DIRECTION_AT
    return placed | (number if number <= _NUMBER else 0)


def of_reason(value: int) -> int | None:
    """Return the cookie that `reason` was made from (without its detail), None if there is none."""
    made = MARK << 56 | (value >> _KIND_AT & 0xF) << 48 | (value >> _DIRECTION_AT & 3) << 40 | value & _NUMBER
    return None if decode(made) is None else made


PIPELINE = encode(Origin(Kind.PIPELINE, 0))
CLAUSE = encode(Origin(Kind.CLAUSE, 0))
OPENED = encode(Origin(Kind.OPENED, 0))

"""The pipeline, declared once: order is meaning, and nothing else knows a table's number.

A frame enters at SOURCE. Neighbour queries go SOURCE, NEIGHBOUR, ANSWER and back out of the port.
IP goes SOURCE, GUARD, conntrack, DESTINATION, ORIENT, CONNECTION, then the egress tiers (the judgement
of the endpoint that opened the connection), the ingress tiers (of the one it was opened to), DELIVER.
What is sent to a multicast group goes from GUARD to MEMBERS, and through the judgement once for each identity there.
While policies are observed, the same packet first passes the candidate tiers, which only note their
verdict, and at last TALLY, which counts it beside the real one.

To add a table: give it a number between its neighbours, say here what it matches, add it to the
sets of tables that may lead to it, and run `make golden docs`.
"""

from __future__ import annotations

import dataclasses
import enum

from intent.model import MAX_TIERS, Direction


class Table(enum.IntEnum):
    """Tables of fixed meaning. Tiers take the numbers between; see `tier_table`."""

    SOURCE = 0
    NEIGHBOUR = 1
    ANSWER = 2
    GUARD = 3
    DESTINATION = 4
    ORIENT = 5
    SAME = 6
    CONNECTION = 7
    CANDIDATE_EGRESS = 8
    CANDIDATE_EGRESS_POSTURE = 26
    CANDIDATE_INGRESS = 28
    CANDIDATE_INGRESS_POSTURE = 46
    EGRESS = 48
    EGRESS_POSTURE = 66
    INGRESS = 68
    INGRESS_POSTURE = 86
    TRANSLATE = 87
    MEMBERS = 88
    TRANSLATED = 89
    TALLY = 90
    TALLY_SET = 91
    MIRROR = 92
    REJECT = 93
    REJECT_SWITCH = 94
    QUEUE = 95
    DELIVER = 96
    RELEASE = 97
    COPIES = 98
    ROUTE = 99
    WORLD_SOURCE = 100
    WORLD_DESTINATION = 101
    WORLD_CLIENT = 102
    WORLD_SERVER = 103
    ARRIVED = 104
    DEPART = 105
    RESTORE = 106
    HAND_OVER = 107
    LEAVE = 108
    NOTE = 109
    PROBE = 110


@dataclasses.dataclass(frozen=True, slots=True)
class Stage:
    """What one table is for, and where a frame may go from it."""

    purpose: str
    next: tuple[Table, ...]


STAGES: dict[Table, Stage] = {
    Table.SOURCE: Stage(
        "Who sends this? Port, MAC and source address must be one endpoint's; loads its identity.",
        (Table.NEIGHBOUR, Table.GUARD, Table.WORLD_SOURCE, Table.ARRIVED, Table.NOTE),
    ),
    Table.NEIGHBOUR: Stage(
        "Turns an ARP request or neighbour solicitation into its answer.", (Table.ANSWER, Table.NOTE)
    ),
    Table.ANSWER: Stage("Fills in the MAC of the address that was asked for and sends the answer back.", (Table.NOTE,)),
    Table.GUARD: Stage(
        "Drops what is never judged, then tracks the connection.",
        (Table.DESTINATION, Table.MEMBERS, Table.TRANSLATE, Table.NOTE),
    ),
    Table.DESTINATION: Stage(
        "Whom is this for? Asks SOURCE once more who sends it; loads identity and port of the destination.",
        (Table.SOURCE, Table.ORIENT, Table.WORLD_DESTINATION, Table.NOTE),
    ),
    Table.ORIENT: Stage(
        "Turns the packet into the orientation of its connection: who opened it, to whom.",
        (Table.SAME, Table.CONNECTION, Table.CANDIDATE_EGRESS, Table.EGRESS, Table.DELIVER, Table.NOTE),
    ),
    Table.SAME: Stage(
        "Equality of two registers: one flow for each attachment number in use.",
        (Table.WORLD_CLIENT, Table.WORLD_SERVER),
    ),
    Table.CONNECTION: Stage(
        "A reply must belong to the two attachments that are here now.",
        (Table.CANDIDATE_EGRESS, Table.EGRESS, Table.NOTE),
    ),
    Table.CANDIDATE_EGRESS: Stage(
        "As EGRESS, over the enforced and the observed policies; only notes what it would do.",
        (Table.CANDIDATE_EGRESS_POSTURE, Table.CANDIDATE_INGRESS, Table.DELIVER),
    ),
    Table.CANDIDATE_EGRESS_POSTURE: Stage("As EGRESS_POSTURE.", (Table.CANDIDATE_INGRESS, Table.EGRESS)),
    Table.CANDIDATE_INGRESS: Stage("As INGRESS.", (Table.CANDIDATE_INGRESS_POSTURE, Table.EGRESS)),
    Table.CANDIDATE_INGRESS_POSTURE: Stage("As INGRESS_POSTURE.", (Table.EGRESS,)),
    Table.EGRESS: Stage(
        "Begins the egress judgement; world has none.", (Table.EGRESS_POSTURE, Table.INGRESS, Table.DELIVER)
    ),
    Table.EGRESS_POSTURE: Stage(
        "No egress rule decided: the network's posture does.", (Table.INGRESS, Table.TALLY, Table.NOTE)
    ),
    Table.INGRESS: Stage(
        "Begins the ingress judgement; world has none.", (Table.INGRESS_POSTURE, Table.TALLY, Table.DELIVER)
    ),
    Table.INGRESS_POSTURE: Stage(
        "No ingress rule decided: the network's posture does.", (Table.TALLY, Table.DELIVER, Table.NOTE)
    ),
    Table.TALLY: Stage("Counts for the observed rule that decided in the candidate set.", (Table.TALLY_SET,)),
    Table.TALLY_SET: Stage("Counts for the whole candidate set.", (Table.REJECT, Table.DELIVER)),
    Table.REJECT: Stage(
        "Only what would open a connection is answered, at most 10 a second a port.", (Table.REJECT_SWITCH, Table.NOTE)
    ),
    Table.REJECT_SWITCH: Stage("At most 100 a second a switch; the controller writes the answer.", (Table.NOTE,)),
    Table.MIRROR: Stage("Copies what a rule with a mirror allows to the mirror's port, if there is one here.", ()),
    Table.QUEUE: Stage("Holds what a rule with a queue allows to the queue's rate, at the port it leaves by.", ()),
    Table.DELIVER: Stage(
        "Outputs; writes the connection's label if it is new or changed hands. Fragments first wait for each other.",
        (
            Table.MIRROR,
            Table.QUEUE,
            Table.RELEASE,
            Table.COPIES,
            Table.ROUTE,
            Table.DEPART,
            Table.RESTORE,
            Table.NOTE,
        ),
    ),
    Table.MEMBERS: Stage(
        "To a multicast group: the judgement once for each identity of its members, here and on each other switch.",
        (Table.COPIES, Table.NOTE),
    ),
    Table.COPIES: Stage("Sends the copy of one identity, to its ports here or once to another switch.", (Table.NOTE,)),
    Table.ROUTE: Stage(
        "What was sent to a router: takes a hop, and goes on with the MACs of the next one.", (Table.LEAVE,)
    ),
    Table.TRANSLATE: Stage(
        "From an uplink that translates: goes on if it has an endpoint's address now, or gets one by a forward.",
        (Table.TRANSLATED, Table.DESTINATION, Table.NOTE),
    ),
    Table.TRANSLATED: Stage("As TRANSLATE, after a forward.", (Table.DESTINATION, Table.NOTE)),
    Table.LEAVE: Stage("To an uplink that translates: leaves if it has an address of the uplink now.", (Table.NOTE,)),
    Table.WORLD_SOURCE: Stage(
        "From an uplink: the longest prefix that policy names says by what identity a world address goes.",
        (Table.GUARD, Table.NOTE),
    ),
    Table.WORLD_DESTINATION: Stage("As WORLD_SOURCE, of a destination beyond an uplink.", (Table.ORIENT, Table.NOTE)),
    Table.WORLD_CLIENT: Stage("As WORLD_SOURCE, of the address that opened the connection an ICMP error quotes.", ()),
    Table.WORLD_SERVER: Stage("Likewise, of the address it was opened to.", ()),
    Table.ARRIVED: Stage(
        "Who sent what came from another switch? Network, sender's switch and address must be one endpoint's.",
        (Table.GUARD, Table.NOTE),
    ),
    Table.DEPART: Stage("To another switch: writes into the MACs where to, and sends it on its way.", (Table.NOTE,)),
    Table.RESTORE: Stage("From another switch: writes the sender's own MAC again.", (Table.HAND_OVER, Table.NOTE)),
    Table.HAND_OVER: Stage("Writes the receiver's own MAC again, and outputs.", (Table.NOTE,)),
    Table.NOTE: Stage("Counts what was dropped, or opened a connection, and shows the controller some of it.", ()),
    Table.PROBE: Stage("Shows the controller what conntrack says of a packet that it made itself.", ()),
    Table.RELEASE: Stage(
        "All fragments of a datagram were let through: to their destination.", (Table.SOURCE, Table.NOTE)
    ),
}

_TIERS = {
    "": {Direction.EGRESS: Table.EGRESS + 1, Direction.INGRESS: Table.INGRESS + 1},
    "candidate_": {Direction.EGRESS: Table.CANDIDATE_EGRESS + 1, Direction.INGRESS: Table.CANDIDATE_INGRESS + 1},
}


class Lane(enum.Enum):
    """A set of policies with policy tables of its own."""

    ENFORCED = ""
    CANDIDATE = "candidate_"

    def tier(self, direction: Direction, tier_index: int) -> int:
        """Return the number of the policy table of one tier.

        Raises:
            ValueError: `tier_index` is not below `MAX_TIERS`.
        """
        if not 0 <= tier_index < MAX_TIERS:
            raise ValueError(f"tier {tier_index} is beyond the {MAX_TIERS} that the pipeline has tables for")
        return _TIERS[self.value][direction] + tier_index

    def entry(self, direction: Direction) -> Table:
        """Return the table where the judgement of a direction begins."""
        return Table[f"{self.value}{direction}".upper()]

    def posture(self, direction: Direction) -> Table:
        """Return the table that decides when no rule did."""
        return Table[f"{self.value}{direction}_posture".upper()]


def table_name(number: int) -> str:
    """Return the name of a table, `egress_tier_3` for those of tiers."""
    for prefix, first_tables in _TIERS.items():
        for direction, first in first_tables.items():
            if first <= number < first + MAX_TIERS:
                return f"{prefix}{direction}_tier_{number - first}"
    try:
        return Table(number).name.lower()
    except ValueError:
        return f"table_{number}"


class Routed(enum.IntEnum):
    """Priorities of what only networks in a router have, by table."""

    TTL = 300
    SERVED = 295
    """DESTINATION: answers of a DHCP server, which no router passes on."""
    HOP = 290
    """DESTINATION: an endpoint, by way of the router."""
    UPLINK = 50
    """DESTINATION: nobody here; perhaps somebody in the world."""
    BACK = 60
    """DESTINATION: to the world, by the uplink of another switch that the connection came by."""
    ELSEWHERE = 70
    """ORIENT: from an uplink that translates, and to another switch."""
    EXIT = 40
    """DESTINATION: to the world by the uplink of another switch, or from another switch."""
    FROM_WORLD = 90
    """SOURCE: from a tunnel, and no endpoint's."""
    PIECE = 105
    """SOURCE, and the tables that translate: no translation is for a part of a datagram."""
    UNKNOWN_KIND = 51
    """DESTINATION: no translation is for this protocol; those that have one are above."""
    TRANSLATE = 10
    """GUARD: what came by an uplink that translates."""
    ECHO = 115
    """GUARD."""
    AGAIN = 110
    """SAME: an uplink has no identity; its addresses have."""
    COMMIT = 16
    """DELIVER."""
    PLAIN = 15
    """DELIVER."""
    OURS = 400
    """WORLD_*: addresses that are not the world's."""
    PREFIX = 100
    """WORLD_*: and the length of the prefix."""


class Priority(enum.IntEnum):
    """Priorities outside the policy tables (those are in `ids.band_priority`)."""

    PIECE = 311
    """DESTINATION: as AGAIN, a fragment."""
    AGAIN = 310
    """DESTINATION: above all that knows receivers, those of routers too: it must be known first who sends."""
    TAGGED = 200
    TRUNK = 150
    DHCP = 120
    SOLICIT = 110
    SOURCE = 100
    LEARN = 50
    TUNNEL = 2
    MISS = 1
    LAST = 0
    RETURN = 140
    EXCEPTION = 110
    GROUP = 108
    """GUARD: above what else forbids UDP."""
    FORBIDDEN = 100
    ADDRESS = 100
    BY_STATE_4 = 40
    BY_STATE_3 = 30
    BY_STATE_2 = 20
    BY_STATE_1 = 10
    ISOLATION = 2
    HANDLED = 29
    """DELIVER: what goes through MIRROR and QUEUE first. Copies to a multicast group do not."""

"""The management plane: OVSDB (RFC 7047) sessions, monitors turned into events, `ensure` transactions.

    client = Client(target, sink)          events of `topology.events` go to `sink`
    client.start(); client.stop()
    ensure_bridge(client, BridgeWish(...)) also takes a one-off `Session` from `open_session`

Everything runs under plain threads and, unchanged, under eventlet's monkey patching.
"""

from ovsdb.client import Client
from ovsdb.converge import Applied
from ovsdb.ensure import ensure_bridge, ensure_port, ensure_tunnel, remove_bridge, remove_port, set_external_ids
from ovsdb.errors import BadTarget, ConnectionLost, EnsureError, OvsdbError, ProtocolError, TransactionError
from ovsdb.explain import Change
from ovsdb.listener import Listen, Listener
from ovsdb.managing import ManagerWish, SslWish
from ovsdb.port_wishes import PortWish, TunnelWish, Vlan
from ovsdb.rates import PolicingWish, QosWish, QueueWish
from ovsdb.session import Limits, Session, Transactor, open_session
from ovsdb.target import Target, Tls, parse_target
from ovsdb.watching import IpfixWish, MirrorWish, NetflowWish, SflowWish
from ovsdb.wish import Wish, ensure, remove
from ovsdb.wishes import BridgeWish, bridge_faults, bridge_is_right

__all__ = [
    "Applied",
    "BadTarget",
    "BridgeWish",
    "Change",
    "Client",
    "ConnectionLost",
    "EnsureError",
    "IpfixWish",
    "Limits",
    "Listen",
    "Listener",
    "ManagerWish",
    "MirrorWish",
    "NetflowWish",
    "OvsdbError",
    "PolicingWish",
    "PortWish",
    "ProtocolError",
    "QosWish",
    "QueueWish",
    "Session",
    "SflowWish",
    "SslWish",
    "Target",
    "Tls",
    "TransactionError",
    "Transactor",
    "TunnelWish",
    "Vlan",
    "Wish",
    "bridge_faults",
    "bridge_is_right",
    "ensure",
    "ensure_bridge",
    "ensure_port",
    "ensure_tunnel",
    "open_session",
    "parse_target",
    "remove",
    "remove_bridge",
    "remove_port",
    "set_external_ids",
]

"""The hosts whose bridges are managed: those that are dialled, and those that dial in and so register.

The names of hosts that dialled in are kept in the store. After a start they are waited for, so that
nobody's tables are planned without what is plugged in there; one that does not come back within
`PATIENCE_S` is planned without, and taken in when it does.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ovsdb import BridgeWish, Client, Listen, Listener, Tls
from ryu_apps import threads
from ryu_apps.keeper import Keeper
from ryu_apps.tunneling import TunnelKeeper
from topology.events import Event, HostForgotten, HostLost, HostResynced
from topology.site import Site

if TYPE_CHECKING:
    from ryu_apps.config_hosts import MutualTls, Ovsdb
    from ryu_apps.memory import StateStore

log = logging.getLogger("ringfence.hosts")

PATIENCE_S = 30.0
"""How long hosts that dialled in before are waited for after a start."""
HOSTS = "hosts"
"""Key of the store's state: the names of hosts that dialled in, as a JSON list."""
MAX_KNOWN = 1000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


class Hosts:
    """A client and a keeper for each host. `observe` gets every event of every host."""

    def __init__(
        self,
        config: Ovsdb,
        wish: BridgeWish,
        site: Callable[[], Site],
        observe: Callable[[Event], bool],
        allowed: Callable[[], bool],
    ) -> None:
        """Make the clients of what is dialled, and bind the address where others dial in.

        Raises:
            BadTarget: a target or a TLS file cannot be right.
            OSError: the address cannot be had.
        """
        self._wish, self._site, self._observe, self._allowed = wish, site, observe, allowed
        self._lock = threading.Lock()
        self._running = False
        self._tunnels: Callable[[Client], TunnelKeeper] | None = None
        self.clients: dict[str, Client] = {}
        self.keepers: dict[str, Keeper] = {}
        self.dialling: frozenset[str] = frozenset(config.targets)
        """Hosts that are dialled; all others dial in."""
        self.store: StateStore | None = None
        """Where the names of hosts that dialled in are kept."""
        for target in config.targets:
            self._keep(Client(target, self._take, tls=tls_of(config.ssl, check_names=config.check_names)))
        self._listener: Listener | None = None
        if config.listen is not None:
            listen = Listen(config.listen.host, config.listen.port, tls_of(config.listen.tls), config.listen.names)
            self._listener = Listener(listen, self._take, self._register)
            self.port = self._listener.port

    def start(self, known: Iterable[str]) -> None:
        """Start everything; `known` are the hosts that dialled in before."""
        self._running = True
        for keeper in list(self.keepers.values()):
            threads.start(keeper)
        for client in list(self.clients.values()):
            client.start()
        if self._listener is not None:
            for name in known:
                self._listener.expect(name)
            self._listener.start()
            late = threading.Timer(PATIENCE_S, self._give_up_on_late)
            late.daemon = True
            late.start()

    def stop(self, timeout_s: float) -> None:
        """Stop everything; the switches keep their flows."""
        self._running = False
        if self._listener is not None:
            self._listener.stop(timeout_s)
        for keeper in list(self.keepers.values()):
            keeper.stop()
        for client in list(self.clients.values()):
            client.stop(timeout_s)

    def forget(self, host: str) -> bool:
        """Forget a host that dialled in and is away, for good; False if it is dialled, or here."""
        if host in self.dialling or self._listener is None:
            return False
        # Not under our lock: the listener takes its own first, and then ours, when a host registers.
        client = self._listener.forget(host)
        if client is None:
            return False
        with self._lock:
            if self.clients.get(host) is not client:
                return True  # it has dialled in again since, and is another one
            self.keepers.pop(host).stop()
            del self.clients[host]
            self._remember()
            self._observe(HostForgotten(host))
        log.info("host %s is forgotten", host)
        return True

    def keep_tunnels(self, make: Callable[[Client], TunnelKeeper]) -> None:
        """Let the keepers, those to come too, keep the tunnel ends that `make` knows of. Call it before `start`."""
        self._tunnels = make
        for host, keeper in self.keepers.items():
            keeper.tunnels = make(self.clients[host])

    def problem(self, host: str) -> str:
        """Return why a host's bridge is not as it must be; empty when it is."""
        return self.keepers[host].problem if host in self.keepers else ""

    def _keep(self, client: Client) -> Keeper:
        keeper = Keeper(client, self._wish, self._site, self._allowed)
        keeper.tunnels = self._tunnels(client) if self._tunnels else None
        self.clients[client.host] = client
        self.keepers[client.host] = keeper
        return keeper

    def _register(self, client: Client) -> None:
        """Take in a host that dialled in for the first time; durable before it is believed."""
        with self._lock:
            keeper = self._keep(client)
            self._remember()
        log.info("host %s registered", client.host)
        if self._running:
            threads.start(keeper)

    def _remember(self) -> None:
        if self.store is not None:
            names = sorted(self.clients.keys() - self.dialling)
            self.store.put_state({HOSTS: json.dumps(names).encode()})

    def _take(self, event: Event) -> None:
        keeper = self.keepers.get(event.host)
        if keeper is not None and self._observe(event):  # without one, it was forgotten meanwhile
            keeper.look()

    def _give_up_on_late(self) -> None:
        late = [name for name, host in self._site().hosts.items() if not host.synced and name not in self.dialling]
        for name in late if self._running else ():
            log.warning("host %s has not dialled in for %g s: planned without it until it does", name, PATIENCE_S)
            self._observe(HostResynced(name, ()))
            self._observe(HostLost(name, "it has not dialled in since the controller started"))


def known_hosts(store: StateStore, config: Ovsdb) -> tuple[str, ...]:
    """Return the hosts that dialled in before and still may; those with impossible names are left out."""
    if config.listen is None:
        return ()
    admitted = config.listen.names
    try:
        names = json.loads(store.state(HOSTS) or b"[]")
    except ValueError:
        log.error("the state %r cannot be read: hosts are known again when they dial in", HOSTS)  # noqa: TRY400 - no trace
        return ()
    listed = names if isinstance(names, list) else []
    fitting = [name for name in listed if isinstance(name, str) and _NAME.fullmatch(name)]
    fitting = [name for name in fitting if admitted is None or name in admitted]
    return tuple(fitting[:MAX_KNOWN])


def tls_of(files: MutualTls | None, *, check_names: bool = False) -> Tls | None:
    """Return the files of a section as the client takes them; `check_names` is about who is dialled."""
    return Tls(str(files.key), str(files.cert), str(files.ca), check_names) if files else None

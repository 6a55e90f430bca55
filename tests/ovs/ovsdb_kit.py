"""A client with the site its events add up to, and a program that does the same under eventlet."""

from __future__ import annotations

import threading

from ovsdb import BridgeWish, Client, Limits, bridge_faults
from topology.site import empty_site, reduce

WAIT_S = 60.0
QUICK = Limits(backoff_first_s=0.02, backoff_cap_s=0.1)
WISH = BridgeWish("br-ring", "me", ("tcp:127.0.0.1:6653",))


class Follower:
    """A client, and the site its events add up to."""

    def __init__(self, target: str, **options) -> None:
        self.host = target
        self.site = empty_site("me", [target])
        self.events: list = []
        self._news = threading.Condition()
        self.client = Client(target, self._take, limits=QUICK, **options)

    def _take(self, event) -> None:
        with self._news:
            self.events.append(event)
            self.site = reduce(self.site, event)
            self._news.notify_all()

    def __enter__(self):
        self.client.start()
        return self.until(lambda: self.site.complete)

    def __exit__(self, *_):
        self.client.stop()

    def until(self, condition):
        with self._news:
            assert self._news.wait_for(condition, WAIT_S), (self.events[-3:], self.names)
        return self

    @property
    def host_rows(self):
        return self.site.hosts[self.host].rows

    @property
    def names(self) -> set[str]:
        return {i.name for i in self.site.interfaces() if i.ours}

    @property
    def bridge(self):
        return self.site.bridge(self.host, "br-ring")

    def faults(self):
        return bridge_faults(self.bridge, WISH) if self.bridge else ("no bridge",)


GREEN = """
import eventlet
eventlet.monkey_patch()
import sys, threading
from ovsdb import BridgeWish, Client, PortWish, Tls, ensure_bridge, ensure_port
synced, seen = threading.Event(), []
def sink(event):
    seen.append(event)
    synced.set()
tls = Tls(*sys.argv[2:]) if sys.argv[2:] else None
client = Client(sys.argv[1], sink, tls=tls)
client.start()
assert synced.wait(30)
beats = []
def beat():
    while True:
        beats.append(1)
        eventlet.sleep(0.005)
eventlet.spawn(beat)
ensure_bridge(client, BridgeWish("br-ring", "me", ("tcp:127.0.0.1:6653",)), wait_s=60)
pool = eventlet.GreenPool()
wish = lambda n: PortWish("br-ring", "me", f"g{n}", "internal")
made = list(pool.imap(lambda n: ensure_port(client, wish(n), wait_s=60).ofport, range(8)))
eventlet.sleep(0.05)
client.stop()
assert len(set(made)) == 8 and len(beats) > 3, (made, len(beats))
print("green")
"""

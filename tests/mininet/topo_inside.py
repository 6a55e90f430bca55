"""Runs inside a sandbox, started by test_topologies.py: one of Mininet's topologies with the real controller."""

import json
import sys
import time

from mininet_scenarios import sandbox
from mininet_scenarios.datagrams import Stream, unintended
from mininet_scenarios.mininet_fabric import TOPOLOGIES, MininetFabric

PORTS = (5001, 5002)
STREAM = 6000


def of(side):
    return [{"labels": {"side": side}}]


POLICY = {
    "kind": "Policy",
    "name": "sides",
    "rules": [
        {"action": "allow", "from": of("odd"), "to": of("even"), "services": ["udp/5001"]},
        {"action": "allow", "from": of("even"), "to": of("even"), "services": ["udp/5002"]},
        {"action": "allow", "services": [f"udp/{STREAM}"]},
    ],
}
BREAKS = {
    "linear": (("s2", "s3"), ("h1s1", "h1s2")),
    "tree": (("s1", "s4"), ("h1", "h4")),
    "ring": (("s1", "s2"), ("h1", "h2")),
    "fat_tree": (("s5", "s7"), ("h7", "h19")),
}
"""Of each topology the link that goes down, and two hosts between whom traffic goes on."""


def side(name):
    return {"side": ("even", "odd")[int(name[1:].partition("s")[0]) % 2]}


def main():
    sandbox.enter()
    name = sys.argv[1]
    link, pair = BREAKS[name]
    with MininetFabric(TOPOLOGIES[name]()) as fabric:
        fabric.controller.rest.apply([*fabric.documents(side), POLICY])
        fabric.settle()
        wrong, found = unintended(fabric, PORTS)
        with Stream(fabric, *pair, STREAM) as stream:
            time.sleep(0.5)
            began = time.monotonic()
            fabric.net.configLinkStatus(*link, "down")
            fabric.settle(without=[link])
            time.sleep(0.5)
            fabric.net.configLinkStatus(*link, "up")
            fabric.settle()
            time.sleep(0.2)
        after, again = unintended(fabric, PORTS)
        told = {
            "switches": len(fabric.net.switches),
            "links": len(fabric.links_up()),
            "cells": len(found) + len(again),
            "open": sum(found.values()) + sum(again.values()),
            "unintended": wrong + [f"mended: {cell}" for cell in after],
            "sent": stream.sent,
            "lost": stream.lost,
            "outage_ms": round(stream.outage_s(began) * 1000, 1),
            "problems": sorted(s["problem"] for s in fabric.ask("GET", "/v1/switches")["items"] if s["problem"]),
        }
    print(json.dumps(told))


if __name__ == "__main__":
    main()

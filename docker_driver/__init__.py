"""Ringfence for plain Docker: a libnetwork remote network and IPAM driver.

    dockerd ──plugin socket──> server ─> network, ipam ─> state (SQLite), links (veth)
    Engine  ──events──> follower ─> plugger ──REST──> controller ─> Open vSwitch

A driver call only makes the veth pair and writes down what was asked; it asks neither the Engine nor the
controller for anything. The plugger brings the controller's ports to what is joined *and identified*:
an endpoint whose labels are not known is not plugged in at all.
"""

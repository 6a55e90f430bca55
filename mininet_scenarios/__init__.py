"""Whole networks on a private Open vSwitch: topologies, scenarios, the runner and the demo."""

from mininet_scenarios.system_mininet import install

install()

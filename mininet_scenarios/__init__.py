"""Whole networks on a private Open vSwitch: topologies, scenarios, the runner and the demo."""

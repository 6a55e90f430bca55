"""What can be wrong with bytes."""

from __future__ import annotations


class WireError(ValueError):
    """Bytes, or values to be turned into bytes, that break a rule of OpenFlow or of this codec."""


class ForeignError(ValueError):
    """Well-formed OpenFlow that means something no flow of ours says."""

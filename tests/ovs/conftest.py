"""Proofs report figures as soak runs do."""

from tests.soak.conftest import effort, figure

__all__ = ["effort", "figure"]

"""Make Mininet importable: Debian installs it for the system's Python only.

A finder that knows one package name is added, not a directory to `sys.path`, so nothing else of the
system's Python leaks into this one. The package calls `install` when it is imported.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

DIST_PACKAGES = Path("/usr/lib/python3/dist-packages")


class MininetFinder:
    """Finds the package `mininet` (its modules are then found through its own path)."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return where `mininet` is, None for every other name."""
        if name != "mininet" or path is not None:
            return None
        return importlib.machinery.PathFinder.find_spec(name, [str(DIST_PACKAGES)], target)


def missing() -> str | None:
    """Return why Mininet cannot be imported, or None when it can."""
    if importlib.util.find_spec("mininet") is None:
        return "needs Mininet 2.3: run `make setup` (Debian package mininet)"
    return None


def network(topo: object, **options: object) -> Any:  # noqa: ANN401 - Mininet has no types
    """Return a Mininet of this topology, not built, without a controller; `options` are Mininet's."""
    from mininet.net import Mininet

    # Else Mininet would write to the machine's `fs.file-max` and `kernel.pty.max`.
    Mininet.inited = True
    return Mininet(topo=topo, controller=None, build=False, **options)


def install() -> None:
    """Add the finder, once, and only where it is needed."""
    if MininetFinder not in sys.meta_path and importlib.util.find_spec("mininet") is None:
        sys.meta_path.append(MininetFinder)

"""What every network of a run has: a sandbox around it, a janitor, and one way to go up and down."""

from __future__ import annotations

import abc
import contextlib
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from mininet_scenarios import sandbox, shell
from mininet_scenarios.controller import Controller, Settings
from mininet_scenarios.janitor import Janitor
from mininet_scenarios.private_ovs import PrivateOvs


class Standing(abc.ABC):
    """Switches, workloads, perhaps a controller: stands when it is entered, and goes as a whole. A context manager.

    What fails to stand is taken down again. After a failure the end of the controller's log is shown; without one,
    a switch that died fails the run.
    """

    def __init__(self) -> None:
        """Begin with nothing but a janitor.

        Raises:
            RuntimeError: this process is not in a sandbox.
        """
        if not sandbox.is_inside():
            raise RuntimeError(f"{type(self).__name__} needs a sandbox: start it with sandbox.run_inside")
        self._stack = contextlib.ExitStack()
        self.janitor = self._stack.enter_context(Janitor())
        self._told: list[Controller] = []

    @abc.abstractmethod
    def _build(self) -> None:
        """Bring it up; `_stack` takes it down."""

    @abc.abstractmethod
    def _switches(self) -> Iterable[PrivateOvs]:
        """Return those that must live to the end."""

    def _controlled(self, settings: Settings) -> Controller:
        """Return a controller, not started, whose log is shown if all this fails."""
        controller = Controller(self.janitor, settings)
        self._told.append(controller)
        return controller

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if kind is not None:
            for controller in self._told:
                sys.stderr.write(f"--- the controller's last words\n{shell.read_tail(controller.log)}\n")
        with self._stack:
            if kind is None:
                for ovs in self._switches():
                    ovs.check()

"""Run the stages of `make test` one after the other, and say at the end how each went.

Every stage runs, also after one that failed, so that one run shows everything. The exit code is 0
only when all passed; 130 when interrupted. Standard library only.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PYTEST = (sys.executable, "-m", "pytest")
ENGINE = "tests/property/test_engine_agrees.py::test_"
SLICE = (
    "tests/property/test_bands.py",
    "tests/property/test_compiler_parts.py",
    "tests/property/test_inventory_follows.py",
    "tests/property/test_fabric_parts.py",
    "tests/property/test_fabric_agree.py::test_an_engine_that_follows_wires_equals_a_compilation_of_everything",
    "tests/property/test_compiler_agrees.py::test_program_and_semantics_agree_on_seeded_cases[0]",
    f"{ENGINE}changes_split_to_single_things_equal_a_compilation_of_everything",
    f"{ENGINE}bands_that_are_split_equal_a_compilation_of_everything",
    f"{ENGINE}an_engine_that_begins_with_persisted_numbers_goes_on_as_if_it_had_never_stopped",
)
"""Of the property tests, what is measured for coverage: the rest adds time and no branches."""
COVERED = (sys.executable, "-m", "coverage", "run", *PYTEST[1:], "tests/unit", "tests/golden", *SLICE)
"""The quick tests once more, measured: measuring doubles their time, and the unit tests are to be timed without."""
NO_DAEMON = (sys.executable, "-m", "mininet_scenarios.docker_host")
"""Prints why no Docker daemon of the tests' own can run here, if so."""
GRACE_S = 20.0
"""How long an interrupted stage may take to clean up before it is killed."""
KEPT = {"RINGFENCE_KEEP", "RINGFENCE_CONFORMANCE_DIR", "RINGFENCE_SEED", "RINGFENCE_RUN"}
"""Of our own environment variables, those that a run of tests obeys: logs to keep, data, chance; who cleans up."""
NO_TESTS = 5
"""pytest's exit code when it found none."""
INTERRUPTED = 130


@dataclasses.dataclass(frozen=True, slots=True)
class Stage:
    """A part of the test run: its commands stop at the first that fails."""

    name: str
    commands: tuple[tuple[str, ...], ...]
    budget_s: float
    """Wall-clock time it should take on two free cores; more is shown, and is no failure."""
    lacks: tuple[str, ...] = ()
    """A command that prints what this machine lacks for a part of the stage, if anything; its tests are skipped."""


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """How a stage ended."""

    stage: Stage
    code: int
    took_s: float
    lacking: str = ""
    """What could not be tested here, and why."""


STAGES = (
    Stage("lint", ((str(BIN / "ruff"), "check", "."), (str(BIN / "ruff"), "format", "--check", ".")), 10),
    Stage("types", ((str(BIN / "mypy"),),), 60),
    Stage("laws", ((str(BIN / "lint-imports"), "--no-logo"),), 10),
    Stage("unit", ((*PYTEST, "tests/unit"),), 20),
    Stage("property", ((*PYTEST, "tests/property", "-vv"),), 200),
    Stage("live", ((*PYTEST, "tests/live", "-vv"),), 45),
    Stage("golden", ((*PYTEST, "tests/golden"),), 15),
    Stage("coverage", (COVERED, (sys.executable, "scripts/coverage_gate.py")), 70),
    Stage("ovs", ((*PYTEST, "tests/ovs", "-vv", "--durations=5"),), 400),
    Stage("mininet", ((*PYTEST, "tests/mininet", "-vv", "--durations=5"),), 480),
    Stage("docker", ((*PYTEST, "tests/docker", "-vv", "-rs"),), 200, NO_DAEMON),
    Stage("conformance", ((*PYTEST, "tests/conformance", "-vv"),), 60),
    Stage("soak", ((*PYTEST, "tests/soak", "-vv", "--durations=5"),), 90),
)
"""In the order they run: the quick ones first."""


def run_command(command: Sequence[str]) -> int:
    """Run one command with our output and no input; return its exit code, 130 when interrupted."""
    print(f"$ {shlex.join(command).replace(str(ROOT) + '/', '')}", flush=True)
    child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL)
    try:
        return child.wait()
    except KeyboardInterrupt:
        # A terminal's Ctrl-C reached the child too; a plain SIGINT or SIGTERM to us did not.
        child.send_signal(signal.SIGINT)
        try:
            child.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        return INTERRUPTED


def run_stage(stage: Stage) -> Result:
    """Run the commands of a stage until one fails."""
    print(f"\n=== {stage.name} (about {stage.budget_s:.0f} s at most) ===", flush=True)
    begin = time.monotonic()
    code = 0
    for command in stage.commands:
        code = run_command(command)
        if code:
            break
    return Result(stage, code, time.monotonic() - begin, lacking(stage))


def lacking(stage: Stage) -> str:
    """Return what the machine lacks for a part of a stage; empty when nothing."""
    if not stage.lacks:
        return ""
    return subprocess.run(stage.lacks, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def verdict(result: Result) -> str:
    """Say in a few words how a stage went."""
    if result.code == NO_TESTS:
        return "FAILED: no tests found"
    if result.code:
        return f"FAILED (exit {result.code})"
    if result.lacking:
        return f"passed what can run here; SKIPPED the rest: {result.lacking}"
    if result.took_s > result.stage.budget_s:
        return f"passed, slower than its {result.stage.budget_s:.0f} s"
    return "passed"


def summary(results: Sequence[Result]) -> str:
    """Return the table that ends the run.

    >>> print(summary([Result(Stage("unit", (), 15), 0, 9.5)]))
    <BLANKLINE>
      unit           9.5 s  passed
    tests: 1/1 stages passed in 10 s
    """
    lines = [f"  {r.stage.name:10} {r.took_s:7.1f} s  {verdict(r)}" for r in results]
    passed = sum(r.code == 0 for r in results)
    total = sum(r.took_s for r in results)
    return "\n".join(["", *lines, f"tests: {passed}/{len(results)} stages passed in {total:.0f} s"])


def chosen(names: Sequence[str]) -> list[Stage]:
    """Return the stages of these names in running order, all of them for none.

    Raises:
        SystemExit: a name that is no stage.
    """
    known = {stage.name: stage for stage in STAGES}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"no such stage: {', '.join(unknown)}; there are: {', '.join(known)}")
    return [stage for stage in STAGES if not names or stage.name in names]


def keep_bytecode() -> None:
    """Let a run's hundreds of processes compile each module once, also where none may write beside the sources.

    Otherwise every controller that a test starts compiles all of itself anew: more than a second.
    """
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        os.environ.setdefault("PYTHONPYCACHEPREFIX", str(ROOT / ".pytest_cache" / "bytecode"))


def even_out() -> None:
    """Let tests see the same whoever starts them: with and without make above, and in every language.

    What somebody set for a soak run, for golden files or for a controller of his own is not for this run.
    """
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    os.environ["LC_ALL"] = "C.UTF-8"
    ours = [name for name in os.environ if name.startswith("RINGFENCE_") and name not in KEPT]
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", *ours):
        os.environ.pop(name, None)


def interrupt(_number: int, _frame: object) -> None:
    """Treat SIGTERM as Ctrl-C, so that the stage cleans up."""
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the stages asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"any of: {', '.join(s.name for s in STAGES)}")
    stages = chosen(parser.parse_args(arguments).stages)
    signal.signal(signal.SIGTERM, interrupt)
    even_out()
    keep_bytecode()
    results = []
    for stage in stages:
        results.append(run_stage(stage))
        if results[-1].code == INTERRUPTED:
            print(summary(results) + ", interrupted", flush=True)
            return INTERRUPTED
    print(summary(results), flush=True)
    return int(any(r.code for r in results))


if __name__ == "__main__":
    sys.exit(main())

"""The test runner: stages, summary, exit codes; and the gate on branch coverage."""

import dataclasses
import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


runner, gate = load("run_tests"), load("coverage_gate")


def stage(name, *codes, budget_s=60.0):
    return runner.Stage(name, tuple((sys.executable, "-c", f"raise SystemExit({c})") for c in codes), budget_s)


@pytest.fixture
def stages(monkeypatch):
    def use(*wanted):
        monkeypatch.setattr(runner, "STAGES", wanted)
        monkeypatch.setattr(runner.signal, "signal", lambda *_: None)

    return use


def test_all_stages_passing_is_exit_0(stages, capfd):
    stages(stage("one", 0), stage("two", 0, 0))
    assert runner.main([]) == 0
    assert "tests: 2/2 stages passed" in capfd.readouterr().out


def test_a_failed_stage_is_exit_1_and_the_later_ones_still_run(stages, capfd):
    stages(stage("one", 3), stage("two", 0))
    assert runner.main([]) == 1
    out = capfd.readouterr().out
    assert "FAILED (exit 3)" in out
    assert "tests: 1/2 stages passed" in out


def test_modules_are_compiled_once_also_where_no_bytecode_is_to_be_written(stages, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    asked = "import sys; raise SystemExit(sys.dont_write_bytecode or not sys.pycache_prefix)"
    stages(runner.Stage("one", ((sys.executable, "-c", asked),), 60))
    assert runner.main([]) == 0


def test_a_run_is_the_same_whoever_starts_it(stages, monkeypatch):
    for name, value in {"RINGFENCE_SOAK": "1", "RINGFENCE_WRITE_GOLDEN": "1", "LC_ALL": "de_DE", "MFLAGS": "x"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RINGFENCE_KEEP", "1")
    asked = "import os, sys; sys.exit(repr([os.environ.get(n) for n in ('RINGFENCE_SOAK', 'RINGFENCE_WRITE_GOLDEN', "
    asked += "'MFLAGS', 'LC_ALL', 'RINGFENCE_KEEP')]) != repr([None, None, None, 'C.UTF-8', '1']))"
    stages(runner.Stage("one", ((sys.executable, "-c", asked),), 60))
    assert runner.main([]) == 0


def test_a_stage_stops_at_its_first_failure(capfd):
    assert runner.run_stage(stage("one", 2, 7)).code == 2


def test_a_stage_that_finds_no_tests_fails(stages, capfd):
    stages(stage("one", runner.NO_TESTS))
    assert runner.main([]) == 1
    assert "no tests found" in capfd.readouterr().out


def test_a_slow_stage_is_named_but_passes():
    assert runner.verdict(runner.Result(stage("unit", budget_s=15), 0, 16)) == "passed, slower than its 15 s"


def test_what_a_machine_cannot_run_is_said_at_the_end(stages, capfd):
    says = (sys.executable, "-c", "print('needs dockerd')")
    stages(dataclasses.replace(stage("docker", 0), lacks=says), stage("two", 0))
    assert runner.main([]) == 0
    assert "passed what can run here; SKIPPED the rest: needs dockerd" in capfd.readouterr().out


def test_only_the_named_stages_run(stages, capfd):
    stages(stage("one", 1), stage("two", 0))
    assert runner.main(["two"]) == 0


def test_an_unknown_stage_is_refused_with_the_known_ones():
    with pytest.raises(SystemExit, match="no such stage: uint; there are: lint, types, laws, unit"):
        runner.main(["uint"])


def coverage_of(**files):
    return {n: {"summary": {"covered_branches": hit, "num_branches": total}} for n, (hit, total) in files.items()}


def test_the_gate_counts_branches_and_names_the_worst_file():
    files = coverage_of(**{"topology/a.py": (90, 90), "topology/b.py": (4, 10), "intent/c.py": (0, 50)})
    passed, text = gate.judge(files, "topology")
    assert not passed
    assert text.splitlines() == [
        "topology: 94/100 branches covered, 94.0 % (gate 95 %)",
        "  topology/b.py: 6 of 10 not taken",
    ]


def test_the_gate_opens_at_95_percent():
    assert gate.judge(coverage_of(**{"intent/a.py": (95, 100)}), "intent")[0]


def test_a_package_that_nobody_measured_does_not_pass():
    assert gate.judge({}, "intent") == (False, "intent: no file was measured")

"""`ringfence run --print-config`, as a process."""

import subprocess
import sys
from pathlib import Path

from ryu_apps.config import parse

ROOT = Path(__file__).parents[2]


def test_the_command_prints_the_effective_configuration(tmp_path):
    (tmp_path / "c.yaml").write_text("log_level: debug")
    argv = [sys.executable, "-m", "cli.main", "run", "--config", str(tmp_path / "c.yaml"), "--print-config"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, check=True)
    assert parse(done.stdout, source="stdout").log_level == "debug"
    assert not done.stderr
    (tmp_path / "c.yaml").write_text("log_lvel: debug")
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"{tmp_path / 'c.yaml'}: log_lvel: unknown key (did you mean log_level?)\n"

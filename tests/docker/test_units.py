"""The systemd units of `examples/systemd` hold for systemd itself."""

import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "examples/systemd"
COMMAND = "/usr/local/bin/ringfence"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_finds_nothing_wrong_in_the_units(tmp_path):
    units = [tmp_path / unit.name for unit in sorted(UNITS.iterdir())]
    assert len(units) == 2
    for unit in units:
        text = (UNITS / unit.name).read_text()
        assert f"ExecStart={COMMAND} " in text
        unit.write_text(text.replace(COMMAND, shutil.which("true")))  # what is installed there is not its matter
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    mine = [line for line in (done.stdout + done.stderr).splitlines() if "ringfence" in line]
    assert (done.returncode, mine) == (0, [])

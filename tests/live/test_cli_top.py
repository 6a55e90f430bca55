"""`ringfence top` on a terminal of its own: whatever ends it, the terminal is as it was."""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time

import pytest

from cli.top import ENTER, LEAVE

PATIENCE_S = 60


def read_until(terminal, text, said=b""):
    give_up_at = time.monotonic() + PATIENCE_S
    while text not in said:
        assert select.select([terminal], [], [], max(give_up_at - time.monotonic(), 0))[0], (text, said[-500:])
        said += os.read(terminal, 4096)
    return said


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGINT, 130), (None, 0)], ids=str
)
def test_the_terminal_is_given_back(world, number, code):
    terminal, end = pty.openpty()
    try:
        before = termios.tcgetattr(end)
        # What is started in a shell's background would ignore SIGINT.
        minded = ["env", "--default-signal=INT", sys.executable, "-m", "cli.main", "top"]
        top = subprocess.Popen(minded, stdin=end, stdout=end, stderr=end, start_new_session=True)
        said = read_until(terminal, b"q ends")
        assert ENTER.encode() in said
        assert termios.tcgetattr(end) != before
        if number is None:
            os.write(terminal, b"q")
        else:
            top.send_signal(number)
        assert read_until(terminal, LEAVE.encode()).rstrip().endswith(LEAVE.encode())
        assert top.wait(PATIENCE_S) == code
        assert termios.tcgetattr(end) == before
    finally:
        os.close(terminal)
        os.close(end)

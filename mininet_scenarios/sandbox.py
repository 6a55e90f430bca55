"""A network, process and mount namespace for a whole run: the kernel removes everything with it.

The run's first process is process 1 of the namespaces. When it ends, for whatever reason, the kernel
kills all others, and with the last of them interfaces, bridges and mounts vanish. It ends by itself as
soon as the pipe from whoever started it closes, so killing the outer process is enough.
Inside, `/run` is an empty file system of its own: the machine's Open vSwitch is out of reach.

    python -m mininet_scenarios.sandbox MODULE [ARGUMENTS]      (MODULE has to call `enter`)
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

INSIDE = "RINGFENCE_SANDBOX"
"""Number of the descriptor whose end of file ends the run."""
END_TIMEOUT_S = 5.0
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def is_inside() -> bool:
    """Say whether this process runs in a sandbox."""
    return INSIDE in os.environ


def run_inside(argv: Sequence[str]) -> int:
    """Run a program in a new sandbox and return its exit code; Ctrl-C and SIGTERM end the sandbox.

    The program has to call `enter` first of all.
    """
    reading, writing = os.pipe()
    process = subprocess.Popen(
        ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", *argv],
        env={**os.environ, INSIDE: str(reading)},
        pass_fds=[reading],
        start_new_session=True,
    )
    os.close(reading)
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return process.wait()
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, previous)
        os.close(writing)
        _end(process)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def enter() -> None:
    """Set up the inside: end with the outer process, hide `/run`, bring the loopback up."""
    descriptor = int(os.environ[INSIDE])
    os.set_inheritable(descriptor, False)
    threading.Thread(target=_end_with, args=(descriptor,), daemon=True).start()
    hide(Path("/run"))
    if os.environ.get("RINGFENCE_KEEP") != "1":
        temporary = Path("/run/tmp")
        temporary.mkdir()
        os.environ["TMPDIR"] = str(temporary)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def hide(directory: Path) -> None:
    """Mount an empty file system over a directory of this mount namespace.

    Raises:
        OSError: no permission, or no such directory.
    """
    # Not mount(8): it would first make /run/mount outside.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", bytes(directory), b"tmpfs", 0, b"mode=755"):
        number = ctypes.get_errno()
        raise OSError(number, f"cannot mount over {directory}: {os.strerror(number)}")


def _end_with(descriptor: int) -> None:
    os.read(descriptor, 1)
    os._exit(INTERRUPTED)


def python(module: str, arguments: Sequence[str]) -> list[str]:
    """Return the command that runs a module of this project with this Python."""
    return [sys.executable, "-m", module, *arguments]


if __name__ == "__main__":
    sys.exit(run_inside(python(sys.argv[1], sys.argv[2:])))

"""scripts/setup.sh on a machine made of stubs: what it calls, and what it says when it cannot go on.

The real thing (a fresh Debian) is tried by hand; here nothing is installed.
"""

import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ORDINARY = ("bash", "dirname", "awk", "sort", "head", "flock", "grep", "mkdir", "ln", "printf")
NEEDED = (
    "ovs-vswitchd",
    "ovs-vsctl",
    "ovsdb-server",
    "mn",
    "ip",
    "ethtool",
    "iperf3",
    "ping",
    "git",
    "nft",
    "iptables",
)
DOCKER = ("busybox", "containerd", "runc", "dockerd", "docker")
UV = """#!/bin/sh
if [ "$1" = --version ]; then echo "uv {version}"; exit; fi
echo "uv $*" >> "$LOG"
mkdir -p .venv/bin
ln -sf {python} .venv/bin/python
"""


class Machine:
    """A clone with setup.sh alone, and a PATH of stubs."""

    def __init__(self, directory: Path) -> None:
        self.clone, self.bin, self.log = directory / "clone", directory / "bin", directory / "log"
        (self.clone / "scripts").mkdir(parents=True)
        self.bin.mkdir()
        # /usr/sbin is searched too on a real machine; here only the stubs are.
        text = (ROOT / "scripts/setup.sh").read_text().replace(':/usr/sbin:/sbin"', '"')
        text = text.replace("/usr/sbin/", f"{directory}/").replace("/usr/bin/python3", f"{self.bin}/python3")
        (self.clone / "scripts/setup.sh").write_text(text)
        for name in ORDINARY:
            (self.bin / name).symlink_to(shutil.which(name))
        for name in (*NEEDED, *DOCKER):
            self.stub(name, "#!/bin/sh\necho stub\n")
        self.stub("python3", '#!/bin/sh\ncase "$*" in *ensurepip*) exit 1;; esac\necho Python stub\n')
        self.stub("id", "#!/bin/sh\necho 1000\n")
        self.stub("uv", UV.format(version="0.9.1", python=self.bin / "python3"))

    def stub(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)

    def setup(self) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.bin), "LOG": str(self.log), "HOME": str(self.clone)}
        command = [self.bin / "bash", self.clone / "scripts/setup.sh"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_where_everything_is_there_it_only_syncs_the_locked_environment(machine):
    done = machine.setup()
    assert done.returncode == 0, done.stderr
    assert machine.log.read_text().split()[:3] == ["uv", "sync", "--locked"]
    assert "setup: ready:" in done.stdout


def test_a_second_run_keeps_the_python_of_the_environment_and_is_quick(machine):
    machine.setup()
    begin = time.monotonic()
    assert machine.setup().returncode == 0
    assert time.monotonic() - begin < 15
    assert machine.log.read_text().splitlines()[-1] == "uv sync --locked"


def test_a_missing_package_is_named_with_the_command_when_it_may_not_install(machine):
    (machine.bin / "mn").unlink()
    (machine.bin / "ethtool").unlink()
    machine.stub("apt-get", "#!/bin/sh\nexit 99\n")
    done = machine.setup()
    assert done.returncode == 1
    assert "missing: ethtool mininet. Run 'sudo apt-get install --no-install-recommends ethtool mininet'" in done.stderr


def test_without_apt_it_names_what_is_missing(machine):
    (machine.bin / "mn").unlink()
    done = machine.setup()
    assert done.returncode == 1
    assert "missing: mininet. No apt-get here" in done.stderr


@pytest.mark.parametrize("before", [None, "#!/bin/sh\nexit 0\n"])
@pytest.mark.parametrize("code", [0, 7])
def test_services_are_held_while_packages_come_and_only_then(machine, before, code):
    policy = machine.clone.parent / "policy-rc.d"
    if before is not None:
        policy.write_text(before)
    (machine.bin / "mn").unlink()
    for name in ("id", "rm", "mv", "chmod", "cat"):
        (machine.bin / name).unlink(missing_ok=True)
        (machine.bin / name).symlink_to(shutil.which(name))
    machine.stub("id", "#!/bin/sh\necho 0\n")
    machine.stub("apt-get", f'#!/bin/sh\ncase "$*" in *install*) cat {policy} >> "$LOG"; exit {code};; esac\n')
    done = machine.setup()
    assert (done.returncode == 0) is (code == 0)
    assert "exit 101" in machine.log.read_text()
    assert (policy.read_text() if policy.exists() else None) == before
    assert not policy.with_name("policy-rc.d.before-ringfence").exists()


SYSTEMCTL = """#!/bin/sh
case "$*" in
    *is-enabled*) for unit; do :; done; [ -e "$HOME/enabled/$unit" ] ;;
    *disable*) for unit; do :; done; rm "$HOME/enabled/$unit" ;;
esac
"""


def test_docker_is_installed_without_being_switched_on_and_what_was_on_stays_on(machine):
    (machine.bin / "dockerd").unlink()
    for name in ("rm", "mv", "chmod", "touch"):
        (machine.bin / name).symlink_to(shutil.which(name))
    (machine.clone / "enabled").mkdir()
    (machine.clone / "enabled/containerd.service").touch()
    machine.stub("id", "#!/bin/sh\necho 0\n")
    machine.stub("systemctl", SYSTEMCTL)
    machine.stub("apt-get", '#!/bin/sh\ncase "$*" in *install*) touch "$HOME/enabled/docker.service";; esac\n')
    done = machine.setup()
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (machine.clone / "enabled").iterdir()} == {"containerd.service"}
    assert "leaving docker.service off" in done.stdout


def test_an_old_uv_is_not_used_and_a_new_one_needs_venv(machine):
    machine.stub("uv", UV.format(version="0.4.30", python="/bin/false"))
    machine.stub("apt-get", "#!/bin/sh\nexit 99\n")
    done = machine.setup()
    assert "missing: python3 python3-venv. Run 'sudo apt-get install" in done.stderr
    assert not machine.log.exists()

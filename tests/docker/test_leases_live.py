"""Two driver processes with states of their own and one real controller, spoken to as dockerd does."""

import contextlib
import json
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from mininet_scenarios import shell
from mininet_scenarios.janitor import Janitor
from tests.free_ports import free_port

ROOT = Path(__file__).parents[2]
HERE = shell.Surroundings({"PYTHONPATH": str(ROOT)})
SUBNET = "10.9.0.0/24"
CONTROLLER = """
openflow: {{port: {openflow}}}
rest: {{port: {rest}}}
ovsdb: {{targets: ["unix:{path}/db.sock"]}}
bridge:
state_dir: {path}
"""
DRIVER = """
socket: {path}/{name}.sock
engine: {path}/nobody.sock
server: http://127.0.0.1:{rest}
token_file: {path}/token
state_dir: {path}/{name}
outside: {{enabled: false}}
controller_down: refuse
"""


class Process:
    """A program of ours, ended with the test."""

    def __init__(self, janitor, log, *argv):
        self._janitor, self._log, self._argv = janitor, log, argv
        self.start()

    def start(self):
        with self._log.open("ab") as out:
            self._child = self._janitor.start([sys.executable, *self._argv], where=HERE, output=out)

    def kill(self):
        self._child.kill()
        self._child.wait(60)


class Site:
    def __init__(self, janitor, path):
        self.path, self.rest = path, free_port()
        (path / "c.yaml").write_text(CONTROLLER.format(openflow=free_port(), rest=self.rest, path=path))
        config = str(path / "c.yaml")
        self.controller = Process(janitor, path / "c.log", "-m", "cli.main", "run", "--config", config)
        self.ready(self.rest)
        self.drivers = {}
        for name in ("one", "two"):
            (path / f"{name}.yaml").write_text(DRIVER.format(path=path, name=name, rest=self.rest))
            argv = ("-m", "docker_driver", "--config", str(path / f"{name}.yaml"))
            self.drivers[name] = Process(janitor, path / f"{name}.log", *argv)

    def ready(self, port):
        deadline = time.monotonic() + 90
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2):
                return
            assert time.monotonic() < deadline, (self.path / "c.log").read_text()[-2000:]
            time.sleep(0.05)

    def call(self, driver, name, **body):
        """Call a driver as dockerd does, which tries again while nobody listens."""
        data, deadline = json.dumps(body).encode(), time.monotonic() + 90
        head = f"POST /IpamDriver.{name} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        while True:
            try:
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.settimeout(60)
                    sock.connect(str(self.path / f"{driver}.sock"))
                    sock.sendall(head + data)
                    answer = b"".join(iter(lambda: sock.recv(65536), b""))
                return json.loads(answer.partition(b"\r\n\r\n")[2])
            except (OSError, ValueError):
                assert time.monotonic() < deadline, (self.path / f"{driver}.log").read_text()[-2000:]
                time.sleep(0.05)

    def address(self, driver, number, wanted=""):
        mac = f"02:42:00:{len(driver + wanted) % 100:02d}:{number >> 8:02x}:{number & 255:02x}"
        options = {"com.docker.network.endpoint.macaddress": mac}
        return self.call(driver, "RequestAddress", PoolID=SUBNET, Address=wanted, Options=options)


@pytest.fixture
def site(tmp_path):
    with Janitor() as janitor:
        yield Site(janitor, tmp_path)


def test_two_drivers_and_one_controller_never_give_an_address_twice(site):
    for driver in site.drivers:
        assert site.call(driver, "RequestPool", Pool=SUBNET, V6=False)["PoolID"] == SUBNET
        gateway = {"RequestAddressType": "com.docker.network.gateway"}
        assert site.call(driver, "RequestAddress", PoolID=SUBNET, Options=gateway)["Address"] == "10.9.0.1/24"
    given, errors, lock = [], [], threading.Lock()

    def take(driver, numbers):
        for number in numbers:
            answer = site.address(driver, number)
            with lock:
                (given if "Address" in answer else errors).append(answer)
            time.sleep(0.02)  # a tenth of what Docker needs to start a container

    threads = [
        threading.Thread(target=take, args=(driver, range(start, start + 25)))
        for driver in site.drivers
        for start in (0, 100)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.4)
    site.drivers["one"].kill()
    site.drivers["one"].start()
    for thread in threads:
        thread.join(120)
    assert errors == []
    addresses = {answer["Address"] for answer in given}
    assert len(addresses) == len(given) == 100
    # One of the other's is refused, a free one is claimed; and with the controller dead what is leased goes on.
    other = site.address("two", 0)["Address"].partition("/")[0]
    assert "is leased to another host" in site.address("one", 900, other)["Err"]
    assert site.address("one", 901, "10.9.0.250")["Address"] == "10.9.0.250/24"
    assert "is leased to another host" in site.address("two", 902, "10.9.0.250")["Err"]
    site.controller.kill()
    began = time.monotonic()
    assert site.address("two", 903)["Address"] not in addresses
    assert "the controller does not answer" in site.address("two", 904, "10.9.0.251")["Err"]
    assert time.monotonic() - began < 30
    site.controller.start()
    site.ready(site.rest)
    assert "Address" in site.address("two", 905, "10.9.0.252")
    assert "is leased to another host" in site.address("one", 906, "10.9.0.252")["Err"]

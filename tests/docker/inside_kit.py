"""A Docker host for a whole module, and what is asked of its containers."""

import contextlib
import json
import socket
import sys
import time

from mininet_scenarios.agents import Agent
from mininet_scenarios.docker_host import IMAGE, DockerHost
from mininet_scenarios.shell import CommandError

ALLOW = """
kind: Policy
name: web-to-db
rules:
- {action: allow, from: [{labels: {side: web}}], to: [{labels: {side: db}}]}
"""


SEEN_S = 0.3
"""After this a packet that was sent has been seen."""


def until(done, timeout_s=60.0, every_s=0.02):
    give_up_at = time.monotonic() + timeout_s
    while not (found := done()):
        if time.monotonic() > give_up_at:
            return found
        time.sleep(every_s)
    return found


class Docker(DockerHost):
    """A host with words for what tests do."""

    def run(self, name, network, *words, labels=(), command=("sleep", "3600")):
        options = [word for label in labels for word in ("--label", label)]
        self.docker("run", "-d", "--name", name, "--network", network, *options, *words, IMAGE, *command)
        return name

    def remove(self, *names):
        self.docker("rm", "-f", *names)

    def inspect(self, name):
        return json.loads(self.docker("inspect", name))[0]

    def end(self, name, network):
        return self.inspect(name)["NetworkSettings"]["Networks"][network]

    def inside(self, name, *words, timeout_s=60):
        """What a command in a container says; None if it fails."""
        try:
            return self.docker("exec", name, *words, timeout_s=timeout_s)
        except CommandError:
            return None

    def reaches(self, name, address):
        return self.inside(name, "ping", "-c1", "-W1", address) is not None

    def gets_through(self, name, address):
        """Whether one of many pings is answered: a busy machine may take longer than one of them waits."""
        return until(lambda: self.reaches(name, address), 30)

    def live(self):
        items = self.controller.rest.call("GET", "/v1/live/endpoints")["items"]
        return {item["name"]: item for item in items}

    def our_ports(self):
        """Ports of containers, not the one that leads to the host."""
        ports = self.controller.rest.call("GET", "/v1/ports")["items"]
        return [port for port in ports if port["name"].startswith("rfo")]

    def plugged(self, *names):
        """Wait until these endpoints are known, and the switch has had a moment to do it."""
        assert until(lambda: set(names) <= set(self.live())), (
            names,
            self.live(),
            self.log("driver").read_text()[-3000:],
        )
        time.sleep(0.15)

    def last_words(self):
        """The end of the driver's log without its chatter."""
        lines = self.log("driver").read_text().splitlines()
        return "\n".join(line for line in lines if " DEBUG " not in line)[-3000:]

    def apply(self, text):
        self.controller.rest.call("POST", "/v1/apply?wait=realized&timeout=50", text)

    def our_interfaces(self):
        return {name for _, name in socket.if_nameindex() if name.startswith("rf") and name[2] in "oi"}

    @contextlib.contextmanager
    def watching(self, name, address, interface="eth0"):
        """An agent in a container's network namespace, which sees every frame that arrives there."""
        pid = str(self.inspect(name)["State"]["Pid"])

        def launch(argv):
            return self.janitor.start(["nsenter", "-t", pid, "-n", *argv], pipe=True)

        agent = Agent(name, launch, [address], ports={"tcp": [80], "udp": [53]}, interface=interface)
        agent.ask("arrivals")
        try:
            yield agent
        finally:
            agent.close()

    def send_frames(self, name, frames, interface="eth0"):
        """Send raw frames out of a container's interface."""
        code = (
            "import socket,sys\n"
            f"s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW); s.bind(({interface!r},0))\n"
            "[s.send(bytes.fromhex(f)) for f in sys.argv[1:]]"
        )
        pid = str(self.inspect(name)["State"]["Pid"])
        argv = ["nsenter", "-t", pid, "-n", sys.executable, "-I", "-S", "-c", code, *(f.hex() for f in frames)]
        assert self.janitor.start(argv).wait(60) == 0


def arrived(agent, source=None):
    """Flows that an agent saw, of one sender's if it is given."""
    time.sleep(SEEN_S)  # not `settle`, which waits for silence: streams may go on
    return [flow for flow in agent.ask("arrivals") if source in {None, flow[1]}]

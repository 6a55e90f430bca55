"""The probe agent: one process in each workload's namespace, that asks, answers and listens.

It answers TCP (one byte) and UDP (echo) on every probed port; the kernel answers echo requests. It opens
connections on request, sends raw frames, keeps streams running, and remembers every frame that arrives,
so that a forbidden packet is seen even when its answer is lost. Standard library only, one thread.

    python agent.py '{"interface": "eth0", "addresses": ["10.1.0.1"], "tcp": [80], "udp": [53]}'

Requests and answers are one JSON object a line, on standard input and output.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import ipaddress
import json
import os
import selectors
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

KEEP_FRAMES = 50_000
ETH_P_ALL = 3
PACKET_OUTGOING = 4
ECHO = {4: (socket.IPPROTO_ICMP, 8, 0), 6: (socket.IPPROTO_ICMPV6, 128, 129)}
"""Protocol, request type and reply type of each address family."""
RESEND_S = 0.45
SETTLE_S = 0.3
LAST_S = 0.5


def family_of(address: str) -> int:
    """Return AF_INET or AF_INET6."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def bound(kind: int, address: str, port: int = 0, protocol: int = 0) -> socket.socket:
    """Return a non-blocking socket bound to an address of this namespace."""
    sock = socket.socket(family_of(address), kind, protocol)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    return sock


def checksum(data: bytes) -> int:
    """Return the internet checksum (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def echo_request(version: int, ident: int) -> bytes:
    """Return an ICMP or ICMPv6 echo request; the kernel fills in the checksum of ICMPv6."""
    kind, payload = ECHO[version][1], b"ringfence-probe!"
    head = struct.pack("!BBHHH", kind, 0, 0, ident, 1)
    return head[:2] + struct.pack("!H", checksum(head + payload)) + head[4:] + payload


def flow_of(frame: bytes) -> tuple[Any, ...] | None:
    """Return (protocol, source, destination, a, b) of an IP frame: ports, or ICMP type and identifier."""
    kind = frame[12:14]
    if kind == b"\x08\x00":
        protocol, head = frame[23], 14 + (frame[14] & 15) * 4
        source, destination = frame[26:30], frame[30:34]
    elif kind == b"\x86\xdd":
        protocol, head = frame[20], 54
        source, destination = frame[22:38], frame[38:54]
    else:
        return None
    a, b = struct.unpack_from("!HH", frame, head)
    if protocol in {1, 58}:
        a, b = frame[head], struct.unpack_from("!H", frame, head + 4)[0]
    return protocol, str(ipaddress.ip_address(source)), str(ipaddress.ip_address(destination)), a, b


class Loop:
    """Callbacks for readable or writable sockets, and timers."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def watch(self, sock: socket.socket | int, call: Callable[[], None]) -> None:
        """Call `call` whenever the socket is readable."""
        self._selector.register(sock, selectors.EVENT_READ, call)

    def forget(self, sock: socket.socket) -> None:
        """Close a socket."""
        self._selector.unregister(sock)
        sock.close()

    def turn(self, timeout_s: float) -> None:
        """Wait at most so long, and call what is due."""
        for key, _ in self._selector.select(max(0.0, timeout_s)):
            key.data()


class Capture:
    """Every frame that arrives at the interface: how many of each flow, and the last ones whole."""

    def __init__(self, loop: Loop, interface: str) -> None:
        self.flows: collections.Counter[tuple[Any, ...]] = collections.Counter()
        self.frames: collections.deque[bytes] = collections.deque(maxlen=KEEP_FRAMES)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
        self.socket.bind((interface, ETH_P_ALL))
        self.socket.setblocking(False)
        loop.watch(self.socket, self.drain)

    def drain(self) -> None:
        """Take what has arrived."""
        while True:
            try:
                frame, where = self.socket.recvfrom(2048)
            except BlockingIOError:
                return
            except OSError as error:  # the link goes down while its port is unplugged
                if error.errno == errno.ENETDOWN:
                    return
                raise
            if where[2] != PACKET_OUTGOING:
                self._take(frame)

    def _take(self, frame: bytes) -> None:
        self.frames.append(frame)
        try:
            flow = flow_of(frame)
        except (struct.error, IndexError, ValueError):  # a frame too short for what it says it is
            return
        if flow is not None:
            self.flows[flow] += 1


class Probe:
    """One attempt to open a connection; `result` is None until it is known."""

    def __init__(self, loop: Loop, asked: dict[str, Any], ident: int) -> None:
        self.loop, self.asked, self.ident = loop, asked, ident
        self.result: str | None = None
        self.tries = 1
        self.target = (asked["dst"], asked.get("port", 0))
        self.protocol: str = asked["protocol"]
        self.version = 6 if ":" in asked["dst"] else 4
        self.socket = self._open()

    def _open(self) -> socket.socket:
        source = self.asked["src"]
        if self.protocol == "icmp":
            sock = bound(socket.SOCK_RAW, source, protocol=ECHO[self.version][0])
        else:
            sock = bound(socket.SOCK_STREAM if self.protocol == "tcp" else socket.SOCK_DGRAM, source)
            self.ident = sock.getsockname()[1]
        if self.protocol == "tcp":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            code = sock.connect_ex(self.target)
            if code != errno.EINPROGRESS:
                self.result = errno.errorcode[code]
        elif self.protocol == "udp":
            sock.connect(self.target)
        self.loop.watch(sock, self.read)
        return sock

    def resend(self) -> None:
        """Send a datagram or an echo request again; TCP does so by itself."""
        if self.result is not None:
            return
        try:
            if self.protocol == "udp":
                self.socket.send(self.ident.to_bytes(4, "big"))
            elif self.protocol == "icmp":
                self.socket.sendto(echo_request(self.version, self.ident), (self.asked["dst"], 0))
        except OSError as error:
            self.finish(error)

    def read(self) -> None:
        """Take an answer, if it is one."""
        try:
            data = self.socket.recv(2048)
        except OSError as error:
            self.finish(error)
            return
        if self.protocol != "icmp" or self._is_reply(data):
            self.end("open" if data else "closed")

    def _is_reply(self, data: bytes) -> bool:
        if self.version == 4:  # noqa: PLR2004 - raw IPv4 sockets give the IP header too
            data = data[(data[0] & 15) * 4 :]
        return data[0] == ECHO[self.version][2] and data[4:6] == self.ident.to_bytes(2, "big")

    def finish(self, error: OSError) -> None:
        """Note an error; refused means that somebody answered no."""
        if error.errno != errno.EAGAIN:
            self.end("refused" if error.errno == errno.ECONNREFUSED else errno.errorcode.get(error.errno or 0, "?"))

    def end(self, result: str) -> None:
        """Note the result, the first one only, and close."""
        if self.socket.fileno() >= 0:
            self.result = self.result or result
            self.loop.forget(self.socket)


class Stream:
    """Datagrams at a steady pace, each expected back; a new source port every `renew` of them."""

    def __init__(self, loop: Loop, asked: dict[str, Any]) -> None:
        self.loop, self.asked = loop, asked
        self.interval_s = float(asked["interval_s"])
        self.next_at = time.monotonic()
        self.sent: dict[int, float] = {}
        self.count = self.refused = 0
        self.ports: list[int] = []
        self.sockets: list[socket.socket] = []

    def renew(self) -> socket.socket:
        """Open the next socket: a new connection to the switch."""
        sock = bound(socket.SOCK_DGRAM, self.asked["src"])
        sock.connect((self.asked["dst"], self.asked["port"]))
        self.ports.append(sock.getsockname()[1])
        self.sockets.append(sock)
        self.loop.watch(sock, lambda: self.read(sock))
        return sock

    def tick(self, now: float) -> None:
        """Send what is due."""
        if now < self.next_at:
            return
        self.next_at = max(self.next_at + self.interval_s, now)
        sock = self.renew() if self.count % self.asked["renew"] == 0 else self.sockets[-1]
        self.sent[self.count] = now
        try:
            sock.send(self.count.to_bytes(8, "big"))
        except OSError:  # the address of a vanished workload does not resolve
            self.refused += 1
        self.count += 1

    def read(self, sock: socket.socket) -> None:
        """Strike out what came back."""
        try:
            self.sent.pop(int.from_bytes(sock.recv(64), "big"), None)
        except OSError:  # an earlier error of this socket, reported late
            self.refused += 1

    def report(self) -> dict[str, Any]:
        """Close, and say what was sent and what never came back (and when it was sent)."""
        for sock in self.sockets:
            self.loop.forget(sock)
        lost = sorted(self.sent.values())
        return {"id": self.asked["id"], "sent": self.count, "lost": lost, "ports": self.ports}


class Agent:
    """Serves requests until its standard input closes."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.loop = Loop()
        self.interface: str = settings["interface"]
        self.capture = Capture(self.loop, self.interface)
        self.streams: list[Stream] = []
        self.input = b""
        self.running = True
        self.ident = os.getpid() & 0xFF
        for address in settings["addresses"]:
            for port in settings["tcp"]:
                self._listen(address, port)
            for port in settings["udp"]:
                sock = bound(socket.SOCK_DGRAM, address, port)
                self.loop.watch(sock, lambda s=sock: self._echo(s))  # type: ignore[misc]
        os.set_blocking(0, False)
        self.loop.watch(0, self._read_requests)

    def _listen(self, address: str, port: int) -> None:
        server = bound(socket.SOCK_STREAM, address, port)
        server.listen(1024)

        def accept() -> None:
            try:
                client, _ = server.accept()
            except OSError:  # gone again already
                return
            with client:
                client.send(b"!")

        self.loop.watch(server, accept)

    @staticmethod
    def _echo(sock: socket.socket) -> None:
        try:
            data, sender = sock.recvfrom(2048)
            sock.sendto(data, sender)
        except OSError:  # an ICMP error for an earlier answer
            return

    # -- requests -----------------------------------------------------------------------------

    def _read_requests(self) -> None:
        data = os.read(0, 1 << 20)
        self.running = bool(data)
        *lines, self.input = (self.input + data).split(b"\n")
        for line in lines:
            asked = json.loads(line)
            answer = getattr(self, f"on_{asked['op']}")(asked)
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()

    def on_probe(self, asked: dict[str, Any]) -> list[Any]:
        """Open connections, all at once; return [id, result, source port or identifier] of each."""
        probes = []
        for one in asked["probes"]:
            self.ident = (self.ident + 251) & 0xFFFF
            probes.append((one["id"], Probe(self.loop, one, self.ident)))
        deadline = time.monotonic() + asked["timeout_s"]
        resend_at = 0.0
        while (now := time.monotonic()) < deadline and any(p.result is None for _, p in probes):
            if now >= resend_at:
                resend_at = now + RESEND_S
                for _, probe in probes:
                    probe.resend()
            self.loop.turn(min(deadline, resend_at) - now)
        for _, probe in probes:
            probe.end("silent")
        return [[number, probe.result, probe.ident] for number, probe in probes]

    def on_cast(self, asked: dict[str, Any]) -> list[Any]:
        """Send one datagram to each of some groups; return [id, source port] of each, and expect no answer."""
        sent = []
        with contextlib.ExitStack() as stack:  # all at once, so that each has a port of its own
            for one in asked["datagrams"]:
                sock = stack.enter_context(bound(socket.SOCK_DGRAM, one["src"]))
                sock.sendto(b"to many", (one["dst"], one["port"]))
                sent.append([one["id"], sock.getsockname()[1]])
                self.loop.turn(0.0002)
        return sent

    def on_arrivals(self, _asked: dict[str, Any]) -> list[Any]:
        """Return [protocol, source, destination, a, b, frames] of each flow that arrived since the last time."""
        self.capture.drain()
        flows = [[*flow, count] for flow, count in self.capture.flows.items()]
        self.capture.flows.clear()
        return flows

    def on_send(self, asked: dict[str, Any]) -> int:
        """Send raw frames (hexadecimal), a short pause between them; return how many."""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
            sock.bind((self.interface, 0))
            for frame in asked["frames"]:
                sock.send(bytes.fromhex(frame))
                self.loop.turn(0.0002)
        return len(asked["frames"])

    def on_settle(self, _asked: dict[str, Any]) -> int:
        """Return when nothing has arrived for a while."""
        deadline, before = time.monotonic() + SETTLE_S, -1
        while before != len(self.capture.frames) or time.monotonic() < deadline:
            if before != len(self.capture.frames):
                deadline, before = time.monotonic() + SETTLE_S, len(self.capture.frames)
            self.loop.turn(deadline - time.monotonic())
        return before

    def on_seen(self, asked: dict[str, Any]) -> list[int]:
        """Return which of the needles (hexadecimal) occurred in a frame that arrived."""
        self.capture.drain()
        hay = b"\0".join(self.capture.frames)
        return [number for number, needle in enumerate(asked["needles"]) if bytes.fromhex(needle) in hay]

    def on_stream(self, asked: dict[str, Any]) -> int:
        """Start streams; they run while nothing else is asked."""
        self.streams = [Stream(self.loop, one) for one in asked["streams"]]
        return len(self.streams)

    def on_stop(self, _asked: dict[str, Any]) -> list[Any]:
        """End the streams, wait for the last answers, until none came for a while, and report."""
        left, deadline = -1, time.monotonic()
        while left != (now_left := sum(len(stream.sent) for stream in self.streams)) or time.monotonic() < deadline:
            if left != now_left:
                left, deadline = now_left, time.monotonic() + LAST_S
            self.loop.turn(deadline - time.monotonic())
        reports = [stream.report() for stream in self.streams]
        self.streams = []
        return reports

    def run(self) -> None:
        """Serve."""
        while self.running:
            now = time.monotonic()
            for stream in self.streams:
                stream.tick(now)
            due = min((s.next_at for s in self.streams), default=now + 60)
            self.loop.turn(due - time.monotonic())


if __name__ == "__main__":
    Agent(json.loads(sys.argv[1])).run()

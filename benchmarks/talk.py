"""One byte there and one back over TCP, on one connection or a new one each time; Python on both ends.

python -m benchmarks.talk serve PORT
python -m benchmarks.talk rr|crr ADDRESS PORT SECONDS       prints transactions a second
"""

from __future__ import annotations

import socket
import struct
import sys
import threading
import time

CLOSE_AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER: a reset instead of TIME_WAIT, or the client runs out of ports."""


def serve(port: int) -> None:
    """Echo for ever."""
    with socket.create_server(("", port), backlog=1024) as server:
        while True:
            connection, _ = server.accept()
            threading.Thread(target=_echo, args=(connection,), daemon=True).start()


def _echo(connection: socket.socket) -> None:
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while data := connection.recv(1):
                connection.send(data)
        except ConnectionError:  # the client closes with a reset
            return


def rr(address: str, port: int, seconds: float) -> float:
    """Return transactions a second over one connection."""
    with socket.create_connection((address, port), timeout=10) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        count, begin = 0, time.monotonic()
        while time.monotonic() - begin < seconds:
            link.send(b"x")
            link.recv(1)
            count += 1
        return count / (time.monotonic() - begin)


def crr(address: str, port: int, seconds: float) -> float:
    """Return transactions a second, each over a connection of its own."""
    count, begin = 0, time.monotonic()
    while time.monotonic() - begin < seconds:
        with socket.create_connection((address, port), timeout=10) as link:
            link.send(b"x")
            link.recv(1)
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CLOSE_AT_ONCE)
        count += 1
    return count / (time.monotonic() - begin)


def main(words: list[str]) -> None:
    """Do what the command line says."""
    if words[0] == "serve":
        serve(int(words[1]))
    else:
        how = {"rr": rr, "crr": crr}[words[0]]
        print(how(words[1], int(words[2]), float(words[3])))


if __name__ == "__main__":
    main(sys.argv[1:])

"""Carries TCP connections to a node and delays every byte by the same time, both ways.

    relay.py LISTEN_ADDRESS NODE_ADDRESS NODE_PORT DELAY_FILE

The kernel of a small virtual machine often has no netem. What is sent is not slowed down: only what
is on its way is held, up to WINDOW bytes each way. DELAY_FILE holds milliseconds; SIGUSR1 makes the
relay read it again. The first line of output is "PID START ADDRESS PORT".
"""

import collections
import os
import signal
import socket
import sys
import threading
import time

WINDOW = 64 << 20
CHUNK = 256 << 10

listen_address, node_address, node_port, delay_file = sys.argv[1:5]
delay = 0.0


def read_delay(*_):
    global delay
    with open(delay_file) as file:
        delay = int(file.read()) / 1000


class Pipe:
    """One direction of a connection."""

    def __init__(self, source, sink):
        self.source, self.sink = source, sink
        self.parts = collections.deque()
        self.bytes = 0
        self.change = threading.Condition()
        for work in (self.receive, self.send):
            threading.Thread(target=work, daemon=True).start()

    def receive(self):
        while True:
            try:
                part = self.source.recv(CHUNK)
            except OSError:
                part = b""
            due = time.monotonic() + delay
            with self.change:
                while self.bytes > WINDOW:
                    self.change.wait()
                self.parts.append((due, part))
                self.bytes += len(part)
                self.change.notify_all()
            if not part:
                return

    def send(self):
        while True:
            with self.change:
                while not self.parts:
                    self.change.wait()
                due, part = self.parts.popleft()
                self.bytes -= len(part)
                self.change.notify_all()
            wait = due - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            try:
                if not part:
                    # The end travels as the bytes do; the other direction goes on.
                    self.sink.shutdown(socket.SHUT_WR)
                    return
                self.sink.sendall(part)
            except OSError:
                # Nobody takes it any more, so nobody shall go on sending it.
                for end in (self.source, self.sink):
                    try:
                        end.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        pass
                with self.change:
                    self.parts.clear()
                    self.bytes = 0
                    self.change.notify_all()
                return


def serve(client):
    try:
        node = socket.create_connection((node_address, int(node_port)), timeout=30)
    except OSError as error:
        print(f"{node_address}:{node_port}: {error}", file=sys.stderr, flush=True)
        client.close()
        return
    node.settimeout(None)
    for end in (client, node):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    Pipe(client, node)
    Pipe(node, client)


def main():
    read_delay()
    signal.signal(signal.SIGUSR1, read_delay)
    listener = socket.create_server((listen_address, 0), backlog=1024)
    # /proc is the machine's, and so is the number found there.
    with open("/proc/self/stat") as file:
        stat = file.read()
    pid, start = stat.split()[0], stat.rpartition(")")[2].split()[19]
    print(pid, start, *listener.getsockname(), flush=True)
    # Whoever started this waits for the end of its output.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()


main()

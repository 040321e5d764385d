"""Starts an agent and checks that it answers: prints the content hash it gives for its program.

Usage: hello.py [--any-end] COMMAND WORD...   (its standard input and output are the channel)

The agent must say Hello in a whole frame, and leave in order when its channel ends; with --any-end
it may leave as it likes.
docs/protocol.md tells what a frame is.
"""

import struct
import subprocess
import sys
import threading
import zlib

# Generous: an agent in an emulator needs some seconds to hash its own program.
PATIENCE_S = 60
HELLO = 0
HASH_BYTES = 32


def fail(why):
    sys.exit(f"error: no agent answered: {why}")


def first_frame(stream):
    header = stream.read(8)
    if len(header) < 8:
        fail(f"the channel ended after {header!r}")
    length, announced = struct.unpack("<II", header)
    if not HASH_BYTES < length <= 4 << 20:
        fail(f"a frame of {length} bytes; the channel begins with {header!r}")
    payload = stream.read(length)
    if zlib.crc32(payload) != announced:
        fail("its first frame is damaged")
    return payload


def main(words):
    any_end = words[:1] == ["--any-end"]
    command = words[any_end:]
    agent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    guard = threading.Timer(PATIENCE_S, agent.kill)
    guard.start()
    try:
        payload = first_frame(agent.stdout)
        if payload[0] != HELLO:
            fail(f"its first message is number {payload[0]}, not Hello")
        agent.stdin.close()
        agent.stdout.read()
        status = agent.wait(PATIENCE_S)
    finally:
        guard.cancel()
        agent.kill()
    if status != 0 and not any_end:
        fail(f"it left with status {status} when its channel ended")
    print(payload[1 : 1 + HASH_BYTES].hex())


if __name__ == "__main__":
    main(sys.argv[1:])

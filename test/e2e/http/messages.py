# SPDX-License-Identifier: Apache-2.0
"""The requests of test/data/http and a plain socket to send them by."""
import pathlib
import re
import socket

DATA = pathlib.Path(__file__).resolve().parents[2] / "data/http"
FOLLOWER = b"GET /after HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def unescape(text):
    plain = {"r": "\r", "n": "\n", "t": "\t", "\\": "\\"}
    text = re.sub(r"\\(x[0-9a-f]{2}|.)", lambda m: plain.get(m[1]) or chr(int(m[1][1:], 16)), text)
    return text.encode("latin-1")


def decode(text):
    """{TEXT*N} is TEXT N times."""
    parts = re.split(r"\{(.*?)\*(\d+)\}", text) + ["", "0"]
    return b"".join(unescape(plain) + unescape(again) * int(count)
                    for plain, again, count in zip(parts[::3], parts[1::3], parts[2::3]))


def read(name):
    """(name, status, ends the connection, bytes) of each line."""
    for line in (DATA / name).read_text().splitlines():
        name, status, text = line.split(" | ", 2)
        yield name, int(status[:3]), "close" in status, decode(text)


def ask(port, message):
    """The answer to the message and FOLLOWER, to the end of the connection."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        try:
            s.sendall(message + FOLLOWER)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused in the middle: the answer tells
        while piece := s.recv(65536):
            answer += piece
    return answer


def status_of(answer):
    match = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
    return int(match[1]) if match else 0

# SPDX-License-Identifier: Apache-2.0
"""A client that reads a byte a second, and one that uploads 30 MB slowly, must not hold others or fill the memory."""
import socket
import statistics
import threading
import time

import requests

STREAMS, TOKENS = 50, 40


def quantile(values, q):
    return sorted(values)[min(len(values) - 1, int(q * len(values)))]


def gaps_of_streams(fairway):
    """The times between chunks of all streams, together."""
    gaps, whole, lock = [], [], threading.Lock()

    def one():
        last, mine = None, []
        answer = requests.post(fairway.url + "/v1/chat/completions", stream=True, json={
            "model": "sim", "stream": True, "max_tokens": TOKENS, "messages": [{"role": "user", "content": "hello"}]})
        for line in answer.iter_lines():
            if line == b"data: [DONE]":
                whole.append(True)
            elif line.startswith(b"data: {"):
                now = time.monotonic()
                if last:
                    mine.append(now - last)
                last = now
        with lock:
            gaps.extend(mine)

    threads = [threading.Thread(target=one) for _ in range(STREAMS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(whole) == STREAMS
    return gaps


def resident(fairway):
    with open(f"/proc/{fairway.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) * 1024


class SlowReader(threading.Thread):
    """Asks for a long stream, reads a byte a second."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        body = b'{"model":"fast","stream":true,"max_tokens":3000,"messages":[{"role":"user","content":"hello"}]}'
        self.socket.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    def run(self):
        while not self.over.wait(1):
            self.socket.recv(1)
        self.socket.close()


class SlowUpload(threading.Thread):
    """30 MB in small pieces, to the end; blanks are no JSON, so the answer is a 400."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.answer = b""
        self.socket = socket.create_connection(address, timeout=60)

    def run(self):
        size = 30 * 1000 * 1000
        self.socket.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // 100_000):
            self.socket.sendall(b" " * 100_000)
            time.sleep(0.02)
        self.answer = self.socket.recv(4096)
        self.socket.close()


def test_a_slow_reader_and_an_upload_hold_nobody(fairway):
    fairway.serve("sim", slots=64, profile="decode=100,answer=0")
    fairway.serve("fast", slots=8, profile="decode=5000,answer=0")
    host, port = fairway.url.removeprefix("http://").split(":")
    alone = [quantile(gaps_of_streams(fairway), 0.99) for _ in range(3)]
    before = resident(fairway)
    slow, upload = SlowReader((host, int(port))), SlowUpload((host, int(port)))
    slow.start()
    upload.start()
    together, grown = [], 0
    while upload.is_alive():
        together.append(quantile(gaps_of_streams(fairway), 0.99))
        grown = max(grown, resident(fairway) - before)
    slow.over.set()
    slow.join(10)
    assert upload.answer.startswith(b"HTTP/1.1 400")
    ratio = statistics.median(together) / statistics.median(alone)
    print(f"p99 gap alone {statistics.median(alone) * 1000:.1f} ms, together {statistics.median(together) * 1000:.1f} ms in "
          f"{len(together)} rounds, ratio {ratio:.2f}; memory grew by at most {grown / 1e6:.1f} MB")
    # A held stream would show as a gap of a second or more; the rest is the noise of a busy machine.
    assert ratio < 5
    assert grown < 30e6 + 40e6  # the upload's body, the bounded buffers, and what an allocator keeps


def test_a_client_that_leaves_frees_its_slot(fairway):
    fairway.serve("sim", slots=1, profile="decode=50,answer=0")
    stream = requests.post(fairway.url + "/v1/chat/completions", stream=True, json={
        "model": "sim", "stream": True, "max_tokens": 3000, "messages": [{"role": "user", "content": "hello"}]})
    next(stream.iter_lines())
    stream.close()
    answer = fairway.client().chat.completions.create(model="sim", max_tokens=2,
                                                      messages=[{"role": "user", "content": "hello"}])
    assert answer.usage.completion_tokens == 2

# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 with real clients (curl, h2load, the OpenAI SDK over httpx), and clients that mean no good beside them."""
import asyncio
import re
import socket
import subprocess
import threading
import time

import hpack
import httpx2
import openai
import pytest
from hyperframe.frame import (DataFrame, Frame, GoAwayFrame, HeadersFrame, PingFrame, RstStreamFrame, SettingsFrame,
                              WindowUpdateFrame)

from fairway_process import Fairway
from test_tls_and_cli import make_certificate

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
ENHANCE_YOUR_CALM = 11
MESSAGES = [{"role": "user", "content": "hello"}]


@pytest.fixture
def secure(tmp_path):
    make_certificate(tmp_path, "h2")
    with Fairway("--quiet", "--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem")) as f:
        yield f


def curl(*arguments):
    done = subprocess.run(["curl", "-sS", "-k", "--max-time", "60", "-w", "\n%{http_version} %{http_code}", *arguments],
                          capture_output=True, text=True, check=True)
    body, status = done.stdout.rsplit("\n", 1)
    return body, status


def h2load(url, *arguments):
    """How many of the requests were answered by 2xx."""
    done = subprocess.run(["h2load", *arguments, url], capture_output=True, text=True, check=True, timeout=120)
    return int(re.search(r"(\d+) 2xx", done.stdout).group(1)), done.stdout


# ---- clients ----

def test_curl(fairway):
    assert curl("--http2-prior-knowledge", fairway.url + "/healthz") == ("ok\n", "2 200")
    assert curl("--http1.1", fairway.url + "/healthz") == ("ok\n", "1.1 200")
    assert curl("--http2-prior-knowledge", fairway.url + "/nothing")[1] == "2 404"
    assert curl("--http2-prior-knowledge", "-I", fairway.url + "/healthz")[1] == "2 200"
    fairway.serve("sim", profile="decode=10000,answer=0")
    body, status = curl("--http2-prior-knowledge", fairway.url + "/v1/chat/completions", "-N", "-d",
                        '{"model":"sim","stream":true,"max_tokens":20,"messages":[{"role":"user","content":"hi"}]}')
    assert status == "2 200" and body.rstrip().endswith("data: [DONE]")


def test_curl_over_tls(secure):
    assert curl("--http2", secure.url + "/healthz") == ("ok\n", "2 200")
    assert curl("--http1.1", secure.url + "/healthz") == ("ok\n", "1.1 200")


def test_many_requests(fairway, secure):
    for url in [fairway.url, secure.url]:
        answered, report = h2load(url + "/healthz", "-n", "20000", "-c", "10", "-m", "100")
        assert answered == 20000, report


def test_big_uploads(fairway, tmp_path):
    """Bodies that together are more than a connection holds at once."""
    fairway.serve("sim", profile="decode=10000,answer=0")
    text = "x" * 20_000_000
    body = tmp_path / "body.json"
    body.write_text('{"model":"sim","max_tokens":2,"messages":[{"role":"user","content":"hi"}],"padding":"%s"}' % text)
    answered, report = h2load(fairway.url + "/v1/chat/completions", "-n", "6", "-c", "1", "-m", "6", "-d", str(body))
    assert answered == 6, report


async def stream_text(client):
    chunks = await client.chat.completions.create(model="sim", stream=True, max_tokens=30, messages=MESSAGES)
    return "".join([c.choices[0].delta.content or "" async for c in chunks if c.choices])


async def ask_at_once(fairway, **http):
    """On one connection. (The transport's HTTP/2 is not safe between threads.)"""
    async with httpx2.AsyncClient(http2=True, timeout=120, trust_env=False, **http) as transport:
        assert (await transport.get(fairway.url + "/healthz")).http_version == "HTTP/2"
        client = openai.AsyncOpenAI(base_url=fairway.url + "/v1", api_key="none", max_retries=0, http_client=transport)
        return await stream_text(client), await asyncio.gather(*(stream_text(client) for _ in range(20)))


def test_openai_sdk(fairway, secure):
    for f, http in [(fairway, {"http1": False}), (secure, {"verify": False})]:
        f.serve("sim", profile="decode=1000,answer=0")
        expected, whole = asyncio.run(ask_at_once(f, **http))
        assert len(expected.split()) > 5
        assert whole == [expected] * 20


# ---- clients by hand ----

class Raw:
    """A connection whose frames the test writes."""

    def __init__(self, fairway):
        host, port = fairway.url.split("//")[1].split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.encoder = hpack.Encoder()

    def send(self, *frames, preface=False):
        data = b"".join(frame.serialize() for frame in frames)
        self.socket.sendall((PREFACE + SettingsFrame(0).serialize() if preface else b"") + data)

    def head(self, stream, path, method="GET", end=True):
        fields = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "h2.test")]
        frame = HeadersFrame(stream, self.encoder.encode(fields))
        frame.flags.add("END_HEADERS")
        if end:
            frame.flags.add("END_STREAM")
        return frame

    def frames(self):
        """Until the server ends the connection."""
        data, found = b"", []
        while True:
            try:
                piece = self.socket.recv(65536)
            except ConnectionError:
                piece = b""
            data += piece
            while len(data) >= 9:
                frame, length = Frame.parse_frame_header(memoryview(data[:9]))
                if len(data) < 9 + length:
                    break
                frame.parse_body(memoryview(data[9:9 + length]))
                found.append(frame)
                data = data[9 + length:]
            if not piece:
                return found

    def goaway(self):
        return [f.error_code for f in self.frames() if isinstance(f, GoAwayFrame)]


def steady(fairway, over, failures):
    """A client that means well, for as long as the test takes."""
    while not over.is_set():
        answered, report = h2load(fairway.url + "/healthz", "-n", "500", "-c", "2", "-m", "10")
        if answered != 500:
            failures.append(report)


@pytest.fixture
def beside(fairway):
    """Well-behaved clients run beside; none of their requests may fail."""
    over, failures = threading.Event(), []
    thread = threading.Thread(target=steady, args=(fairway, over, failures))
    thread.start()
    yield
    over.set()
    thread.join()
    assert not failures


def test_rapid_reset(fairway, beside):
    for _ in range(10):
        raw = Raw(fairway)
        raw.send(preface=True)
        try:
            for first in range(1, 10001, 100):
                frames = []
                for stream in range(first, first + 100, 2):
                    frames += [raw.head(stream, "/v1/models"), RstStreamFrame(stream, error_code=8)]
                raw.send(*frames)
        except ConnectionError:
            pass  # the server was quicker
        assert ENHANCE_YOUR_CALM in raw.goaway()


def test_floods(fairway, beside):
    ping, window = PingFrame(0, b"12345678"), WindowUpdateFrame(0, window_increment=1)
    for frame in [ping, SettingsFrame(0), window, DataFrame(1, b"")]:
        raw = Raw(fairway)
        raw.send(raw.head(1, "/v1/models", "POST", end=False), *[frame] * 5000, preface=True)
        assert raw.goaway() == [ENHANCE_YOUR_CALM]


def test_slow_clients(fairway, beside):
    """Heads that never end, on many connections at once: each is let go in time."""
    raws = [Raw(fairway) for _ in range(50)]
    for raw in raws:
        frame = raw.head(1, "/healthz")
        frame.flags.remove("END_HEADERS")
        raw.send(frame, preface=True)
    start = time.monotonic()
    for raw in raws:
        assert raw.goaway() == [ENHANCE_YOUR_CALM]
    assert 5 < time.monotonic() - start < 40  # 10 s is the limit


def test_single_bytes(fairway):
    raw = Raw(fairway)
    data = PREFACE + SettingsFrame(0).serialize() + raw.head(1, "/healthz").serialize()
    data += GoAwayFrame(0).serialize()
    raw.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(len(data)):
        raw.socket.sendall(data[at:at + 1])
    assert b"ok\n" in [f.data for f in raw.frames() if isinstance(f, DataFrame)]

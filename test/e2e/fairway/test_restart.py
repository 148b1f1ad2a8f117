# SPDX-License-Identifier: Apache-2.0
"""`up --replace`: another process takes over from the running one, and no client notices."""
import asyncio
import itertools
import json
import os
import socket
import subprocess
import threading

import httpx2
import openai
import pytest

from fairway_process import BIN, Fairway, model_manifest, wait_for
from test_remote import remote_manifest
from test_tenants import new_key, tenant_manifest
from test_tls_and_cli import make_certificate, served_name

STREAMS = int(os.environ.get("FAIRWAY_TEST_STREAMS", 100))
TOKENS = 60
SLOTS_MOST = 100  # of a replica; more streams than slots wait in the queue
STREAM = {"model": "sim", "prompt": "x", "max_tokens": TOKENS, "stream": True, "stream_options": {"include_usage": True}}


def begin_replace(fairway, *options):
    """Starts the successor; it is the fairway's process from then on."""
    old, fairway.process = fairway.process, subprocess.Popen(
        [BIN / "fairway", "up", "--state", fairway.state, "--replace", *fairway.options, *options],
        stdin=subprocess.DEVNULL, stdout=fairway.log, stderr=fairway.log)
    return old


def replace(fairway, *options):
    """Until the successor serves and its predecessor, which is returned, drains."""
    before = fairway.log_text().count("Fairway listens on")
    old = begin_replace(fairway, *options)
    wait_for(lambda: fairway.log_text().count("Fairway listens on") > before or fairway.process.poll() is not None,
             "the successor serves")
    assert fairway.process.poll() is None, fairway.log_text()[-3000:]
    return old


def ledger(fairway):
    """Requests and output tokens that the ledger knows of."""
    rows = json.loads(fairway.cli("usage", "-o", "json").stdout)["items"]
    return sum(r["requests"] for r in rows), sum(r["outputTokens"] for r in rows)


def complete(fairway, tokens=3):
    with fairway.client() as client:  # it keeps no connection, which a predecessor would wait for
        return client.completions.create(model="sim", prompt="x", max_tokens=tokens).usage.completion_tokens


def test_replace_without_a_predecessor_starts():
    with Fairway("--quiet", "--replace") as fairway:
        fairway.serve("sim", profile="decode=1000")
        assert complete(fairway) == 3


def test_replace_keeps_address_engines_and_admin(fairway):
    (engine,) = fairway.serve("sim", profile="decode=1000")
    old = replace(fairway)
    assert old.wait(30) == 0
    assert complete(fairway) == 3
    assert [r["pid"] for r in fairway.ready("sim")] == [engine["pid"]]
    assert "models/sim changed" in fairway.apply(model_manifest("sim", profile="decode=1000", queue={"maxLength": 9})).stdout


def test_limits_hold_while_both_processes_serve(fairway):
    """The streams that the old one still runs count at the new one, and so do the slots that they hold."""
    fairway.serve("sim", slots=3, profile="decode=20,answer=0")
    fairway.apply(tenant_manifest("team", limits={"concurrency": 2}))
    key = new_key(fairway, "alice", "--tenant", "team")
    streams = [fairway.client(key).completions.create(model="sim", prompt="x", max_tokens=100000, stream=True)
               for _ in range(2)]
    for stream in streams:
        next(iter(stream))
    old = replace(fairway)
    wait_for(lambda: [g["running"] for g in fairway.get("gateways")["items"]] == [0, 2], "the old one has joined")

    def refused():
        try:
            fairway.client(key).completions.create(model="sim", prompt="x", max_tokens=1)
        except openai.RateLimitError as error:
            return "2 requests at a time" in error.message
    wait_for(refused, "the new one counts the streams of the old one")
    for stream in streams:
        stream.close()
    wait_for(lambda: not refused(), "they have ended")
    assert old.wait(30) == 0
    wait_for(lambda: len(fairway.get("gateways")["items"]) == 1, "it has left")


def test_another_address_is_refused_and_the_old_one_goes_on(fairway):
    fairway.serve("sim", profile="decode=1000")
    old = begin_replace(fairway, "--listen", "127.0.0.1:1")
    assert fairway.process.wait(30) == 1
    fairway.process = old
    assert "keeps that" in fairway.log_text()
    assert complete(fairway) == 3


def test_the_old_one_goes_on_when_the_new_one_fails(fairway):
    """The successor is killed at the worst moment: the old controller has ended, the new one is not ready."""
    (engine,) = fairway.serve("sim", profile="decode=1000")
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(f"{fairway.state}/handover.sock")
        s.sendall(b'{"handover":1,"ask":"offer"}\n')
        line, fds, _, _ = socket.recv_fds(s, 4096, 64)
        assert json.loads(line)["listeners"] == len(fds) - 1
        for fd in fds:
            os.close(fd)
        s.sendall(b'{"ask":"release"}\n')
        assert json.loads(s.recv(4096)) == {"released": True}
        assert complete(fairway) == 3
    assert [r["pid"] for r in fairway.ready("sim")] == [engine["pid"]]
    assert complete(fairway) == 3
    old = replace(fairway)
    assert old.wait(30) == 0
    assert complete(fairway) == 3


@pytest.mark.parametrize("first", [b"hello\n", b'{"ask":"offer"}\n', b'{"handover":1,"ask":"drain"}\n', b""])
def test_nonsense_does_no_harm(fairway, first):
    fairway.serve("sim", profile="decode=1000")
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(f"{fairway.state}/handover.sock")
        s.sendall(first)
        s.shutdown(socket.SHUT_WR)
        s.recv(4096)
    assert complete(fairway) == 3
    assert replace(fairway).wait(30) == 0


def test_what_the_old_one_still_uses_counts_in_the_new_one(fairway):
    """A stream ends in the old process: its tokens are in the ledger and under the tenant's limit of a day."""
    fairway.serve("sim", profile="decode=20,answer=0")
    fairway.apply({"apiVersion": "fairway.dev/v1", "kind": "Tenant", "metadata": {"name": "a"},
                   "spec": {"limits": {"tokensPerDay": 2 * TOKENS}}})
    client = fairway.client(fairway.cli("key", "create", "a").stdout.strip())
    with client.completions.create(**STREAM) as stream:
        events = iter(stream)
        next(events)
        old = replace(fairway)
        assert client.completions.create(model="sim", prompt="x", max_tokens=1).usage.completion_tokens == 1
        used = [e.usage.completion_tokens for e in events if e.usage]
    assert used == [TOKENS]
    assert old.wait(30) == 0
    assert ledger(fairway) == (2, TOKENS + 1)
    with pytest.raises(openai.RateLimitError):
        client.completions.create(model="sim", prompt="x", max_tokens=TOKENS)


def test_servers_that_somebody_else_runs_are_ready_at_once(fairway):
    with Fairway("--quiet") as other:
        other.serve("sim", profile="decode=1000")
        fairway.apply(remote_manifest("sim", [other.url]))
        fairway.ready("sim")
        old = replace(fairway)
        assert [r["state"] for r in fairway.replicas("sim")] == ["ready"]
        assert old.wait(30) == 0


def test_replace_with_tls_in_the_background(tmp_path):
    make_certificate(tmp_path, "first")
    with Fairway("--quiet", "--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem")) as fairway:
        fairway.serve("sim", profile="decode=1000")
        make_certificate(tmp_path, "second")
        old = begin_replace(fairway, "--detach")
        try:
            assert fairway.process.wait(60) == 0 and old.wait(30) == 0
            assert served_name(fairway.url) == "second"
        finally:
            fairway.cli("down")


@pytest.mark.parametrize("answer, words", [
    ({"handover": 99}, "version 99"),
    ({"handover": 1, "error": "not now"}, "not now"),
    ({"handover": 1, "host": "127.0.0.1", "port": 1, "listeners": 1, "admin": False}, "makes no sense"),
])
def test_an_answer_that_cannot_be_taken(tmp_path, answer, words):
    """A running one of another kind, which sends no sockets either: this one says why it does not start."""
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(tmp_path / "handover.sock"))
        s.listen()
        process = subprocess.Popen([BIN / "fairway", "up", "--state", tmp_path, "--replace"], stderr=subprocess.PIPE, text=True)
        connection, _ = s.accept()
        with connection:
            assert json.loads(connection.recv(4096)) == {"handover": 1, "ask": "offer"}
            connection.sendall(json.dumps(answer).encode() + b"\n")
            assert words in process.communicate(timeout=30)[1]
    assert process.returncode == 1


class Load:
    """Streams, keep-alive requesters and HTTP/2 streams; counts what clients saw."""

    def __init__(self, fairway):
        self.url = fairway.url
        self.over = asyncio.Event()
        self.requests = self.tokens = 0
        self.errors = []

    async def guarded(self, name, work):
        try:
            await work
        except Exception as error:  # any failure of a client fails the test, with its name
            self.errors.append((name, repr(error)))

    def whole_stream(self, lines):
        events = [line[6:] for line in lines if line.startswith("data: ")]
        assert events and events[-1] == "[DONE]", events[-1:]
        assert json.loads(events[-2])["usage"]["completion_tokens"] == TOKENS
        self.requests += 1
        self.tokens += TOKENS

    async def streams(self, client):
        while not self.over.is_set():
            async with client.stream("POST", f"{self.url}/v1/completions", json=STREAM) as answer:
                assert answer.status_code == 200, await answer.aread()
                self.whole_stream([line async for line in answer.aiter_lines()])

    async def h2_streams(self):
        """By curl, a connection for each: httpx gives up a connection and its streams at the first GOAWAY."""
        while not self.over.is_set():
            curl = await asyncio.create_subprocess_exec(
                "curl", "-sS", "--fail", "--http2-prior-knowledge", "--json", json.dumps(STREAM), f"{self.url}/v1/completions",
                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            answer, words = await curl.communicate()
            assert curl.returncode == 0, words
            self.whole_stream(answer.decode().splitlines())

    async def requester(self, client):
        """One connection that is kept, at a steady rate."""
        while not self.over.is_set():
            answer = await client.post(f"{self.url}/v1/completions",
                                       json={"model": "sim", "prompt": "x", "max_tokens": 2})
            assert answer.status_code == 200, answer.text
            self.requests += 1
            self.tokens += answer.json()["usage"]["completion_tokens"]
            await asyncio.sleep(0.05)

    async def run(self, disturb):
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
        async with httpx2.AsyncClient(timeout=120, limits=limits) as client:
            tasks = [asyncio.create_task(self.guarded("stream", self.streams(client))) for _ in range(STREAMS)]
            tasks += [asyncio.create_task(self.guarded("requester", self.requester(client))) for _ in range(10)]
            tasks += [asyncio.create_task(self.guarded("h2", self.h2_streams())) for _ in range(5)]
            try:
                await asyncio.to_thread(disturb)
            finally:
                self.over.set()
                await asyncio.gather(*tasks)


class Changes(threading.Thread):
    """Limits, aliases, tenants and keys change all the time."""

    def __init__(self, fairway, manifest):
        super().__init__()
        self.fairway, self.manifest = fairway, manifest
        self.over, self.error, self.count = threading.Event(), None, 0

    def run(self):
        try:
            for i in itertools.count():
                if self.over.wait(0.1):
                    return
                self.manifest["spec"]["queue"] = {"maxLength": 5000 + i}
                self.manifest["spec"]["traffic"] = {"aliases": [f"alias-{i % 3}"]}
                self.fairway.apply(self.manifest)
                self.fairway.apply({"apiVersion": "fairway.dev/v1", "kind": "Tenant", "metadata": {"name": f"t{i % 4}"},
                                    "spec": {"weight": 1 + i % 5}})
                self.count += 1
        except AssertionError as error:
            self.error = error


def test_no_request_is_lost_over_three_replacements(fairway):
    manifest = model_manifest("sim", replicas=2, slots=min(STREAMS, SLOTS_MOST), profile="decode=100,answer=0")
    fairway.apply(manifest)
    engines = {r["pid"] for r in fairway.ready("sim", 2)}
    changes, load, old = Changes(fairway, manifest), Load(fairway), []

    def disturb():
        changes.start()
        try:
            for _ in range(3):
                served = load.requests
                wait_for(lambda: load.requests > served + STREAMS or load.errors, "requests go on")
                old.append(replace(fairway))
            served = load.requests
            wait_for(lambda: load.requests > served + STREAMS or load.errors, "requests go on")
        finally:
            changes.over.set()
            changes.join()

    asyncio.run(load.run(disturb))
    assert load.errors == [] and changes.error is None
    assert [p.wait(60) for p in old] == [0, 0, 0]
    assert {r["pid"] for r in fairway.ready("sim", 2)} == engines
    wait_for(lambda: ledger(fairway) == (load.requests, load.tokens), "the ledger says what clients saw")

# SPDX-License-Identifier: Apache-2.0
"""Engines that somebody else runs: reached by URL, with TLS and an API key, and treated like replicas of our own."""
import concurrent.futures
import http.server
import json
import os
import socket
import subprocess
import threading

import openai
import pytest
import requests

from fairway_process import ROOT, TINY_MODEL, Fairway, wait_for

LLAMA_SERVER = ROOT / ".cache/llama-server/llama-server"
HELLO = [{"role": "user", "content": "hello"}]


def make_authority(folder, name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"],
                   check=True, capture_output=True)
    return folder / f"{name}.pem"


def make_certificate(folder, name, authority, names):
    """A server's: NAME.pem and NAME.key, signed by the authority."""
    (folder / f"{name}.ext").write_text(f"subjectAltName={names}\n")
    subprocess.run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                    "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr"], check=True, capture_output=True)
    subprocess.run(["openssl", "x509", "-req", "-in", folder / f"{name}.csr", "-CA", authority,
                    "-CAkey", authority.with_suffix(".key"), "-CAcreateserial", "-days", "2", "-extfile", folder / f"{name}.ext",
                    "-out", folder / f"{name}.pem"], check=True, capture_output=True)
    return "--tls-cert", str(folder / f"{name}.pem"), "--tls-key", str(folder / f"{name}.key")


def remote_manifest(name, urls, probes=None, **engine):
    spec = {"engine": {"type": "remote", "urls": urls, **engine}, "probes": {"period": "200ms", **(probes or {})}}
    return {"apiVersion": "fairway.dev/v1", "kind": "Model", "metadata": {"name": name}, "spec": spec}


def described(fairway, name):
    return fairway.cli("describe", "model", name).stdout


def says(fairway, name, text):
    return wait_for(lambda: text in described(fairway, name) and described(fairway, name), f"{name}: {text}")


def make_key(fairway, name, folder):
    """A key of a Fairway, and a file with it."""
    key = [word for word in fairway.cli("key", "create", name).stdout.split() if word.startswith("fw")][0]
    path = folder / f"{name}.secret"
    path.write_text(key + "\n")
    return key, path


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# ---- another Fairway ----

@pytest.fixture
def upstream(tmp_path):
    """A Fairway by https that wants a key, with a model that is called differently there."""
    authority = make_authority(tmp_path, "authority")
    with Fairway("--quiet", *make_certificate(tmp_path, "server", authority, "IP:127.0.0.1")) as f:
        f.serve("org-model", profile="decode=1000,answer=20")
        f.key, f.key_file = make_key(f, "partner", tmp_path)
        f.ca_file = authority
        yield f


def test_https_with_a_key(fairway, upstream):
    manifest = remote_manifest("chat", [upstream.url + "/v1"], model="org-model", apiKeyFile=str(upstream.key_file),
                               caFile=str(upstream.ca_file))
    fairway.apply(manifest)
    replica = fairway.ready("chat")[0]
    assert replica["url"] == upstream.url + "/v1" and replica["pid"] == 0 and replica["problem"] == ""
    client = fairway.client()
    whole = client.chat.completions.create(model="chat", messages=HELLO, max_tokens=10)
    assert whole.choices[0].message.content and whole.usage.completion_tokens == 10
    deltas = list(client.chat.completions.create(model="chat", messages=HELLO, max_tokens=10, stream=True))
    assert deltas[-1].choices[0].finish_reason == "length"
    assert client.embeddings.create(model="chat", input="hello").data[0].embedding
    with pytest.raises(openai.BadRequestError):  # the engine's own words to the client
        client.chat.completions.create(model="chat", messages=HELLO, max_tokens=-5)
    named = requests.post(fairway.url + "/generate", json={"prompt": "hello", "max_tokens": 5})  # the only model there is
    assert named.status_code == 200, named.text
    assert fairway.cli("logs", "chat", check=False).returncode != 0
    assert "chat" in fairway.cli("get", "models").stdout and upstream.url in fairway.cli("get", "models").stdout
    everything = (described(fairway, "chat") + fairway.log_text() + json.dumps(fairway.get("replicas"))
                  + json.dumps(fairway.get("events")) + requests.get(fairway.url + "/metrics").text)
    assert upstream.key not in everything


def test_requests_go_where_the_server_lives(fairway):
    """Two servers; one dies in the midst of requests and comes back on its port."""
    ports = [free_port(), free_port()]
    servers = []
    try:
        for port in ports:
            server = Fairway("--quiet", "--listen", f"127.0.0.1:{port}")
            servers.append(server)
            server.start().serve("chat", profile="decode=500,answer=20", slots=8)
        fairway.apply(remote_manifest("chat", [f"http://127.0.0.1:{port}" for port in ports], maxConcurrentRequests=8))
        fairway.ready("chat", 2)
        answers, errors, stop = [], [], threading.Event()

        def talk():
            client = fairway.client()
            while not stop.is_set():
                try:
                    answers.append(client.chat.completions.create(model="chat", messages=HELLO, max_tokens=20).usage.completion_tokens)
                except openai.OpenAIError as e:
                    errors.append(repr(e))
        threads = [threading.Thread(target=talk) for _ in range(4)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(answers) > 20, "requests are answered")
        state = servers[0].state
        engines = servers[0].marked_processes()
        servers[0].kill()
        for pid in engines:
            os.kill(pid, 9)
        fairway.ready("chat", 1)
        seen = len(answers)
        wait_for(lambda: len(answers) > seen + 20, "the other one answers")
        stop.set()
        for thread in threads:
            thread.join()
        assert errors == [] and set(answers) == {20}
        back = Fairway("--quiet", "--listen", f"127.0.0.1:{ports[0]}", state=state)
        back.own_state = True
        servers[0].log.close()
        servers[0] = back
        back.start()
        fairway.ready("chat", 2)
    finally:
        stop.set()
        for server in servers:
            server.__exit__(None, None, None)


def test_a_wrong_key_is_said_and_mended(fairway, upstream, tmp_path):
    key_file = tmp_path / "wrong.secret"
    key_file.write_text("fw-this-is-not-it")
    fairway.apply(remote_manifest("chat", [upstream.url], model="org-model", apiKeyFile=str(key_file), caFile=str(upstream.ca_file)))
    text = says(fairway, "chat", "401 Unauthorized")
    assert "apiKeyFile" in text and "this-is-not-it" not in text + fairway.log_text()
    assert all(r["state"] == "starting" for r in fairway.replicas("chat"))
    key_file.write_text(upstream.key)  # a refused key is read again
    fairway.ready("chat")
    assert fairway.client().chat.completions.create(model="chat", messages=HELLO, max_tokens=5).usage.completion_tokens == 5
    assert "401" not in described(fairway, "chat").split("Events:")[0]


def test_a_server_that_is_another_one(fairway, upstream, tmp_path):
    stranger = make_authority(tmp_path, "stranger")
    common = {"model": "org-model", "apiKeyFile": str(upstream.key_file)}
    fairway.apply(remote_manifest("unknown", [upstream.url], caFile=str(stranger), **common))
    fairway.apply(remote_manifest("system", [upstream.url], **common))
    fairway.apply(remote_manifest("name", [upstream.url.replace("127.0.0.1", "localhost")], caFile=str(upstream.ca_file), **common))
    fairway.apply(remote_manifest("nobody", [f"http://127.0.0.1:{free_port()}"], **common))
    fairway.apply(remote_manifest("nowhere", ["http://no-such-host.invalid"], **common))
    says(fairway, "unknown", "its certificate was refused: ")
    says(fairway, "system", "its certificate was refused: ")
    says(fairway, "name", "hostname mismatch")
    says(fairway, "nobody", "closed the connection")
    says(fairway, "nowhere", "cannot be resolved")
    assert [r for r in fairway.get("replicas")["items"] if r["state"] == "ready"] == []


def test_by_name(fairway, upstream, tmp_path):
    """A name is looked up; the certificate must be for the name."""
    authority = upstream.ca_file
    with Fairway("--quiet", *make_certificate(tmp_path, "named", authority, "DNS:localhost")) as named:
        named.serve("chat", profile="decode=1000,answer=20")
        url = named.url.replace("127.0.0.1", "localhost")
        fairway.apply(remote_manifest("chat", [url], caFile=str(authority)))
        fairway.ready("chat")
        assert fairway.client().chat.completions.create(model="chat", messages=HELLO, max_tokens=5).usage.completion_tokens == 5


def test_no_key_no_authorities(fairway, tmp_path):
    """What cannot be read is said, and tried again."""
    path = tmp_path / "late.secret"
    fairway.apply(remote_manifest("chat", ["http://127.0.0.1:1"], apiKeyFile=str(path)))
    says(fairway, "chat", f"engine.apiKeyFile {path}: No such file")
    path.write_text("two words")
    says(fairway, "chat", "one word of printable ASCII")
    path.write_text("word")
    says(fairway, "chat", "closed the connection")
    fairway.apply(remote_manifest("other", ["http://127.0.0.1:1"], apiKeyEnv="FAIRWAY_TEST_NO_SUCH"))
    says(fairway, "other", "without the variable FAIRWAY_TEST_NO_SUCH")
    fairway.apply(remote_manifest("ca", ["https://127.0.0.1:1"], caFile=str(path)))
    says(fairway, "ca", f"cannot use the certificates of the authorities {path}")


def test_changes(fairway, tmp_path):
    """URLs come and go, the model is switched off and on, the machine is cordoned: none of it needs room here."""
    with Fairway("--quiet") as a, Fairway("--quiet") as b:
        for server in (a, b):
            server.serve("chat", profile="decode=1000,answer=20")
        node = fairway.get("nodes")["items"][0]
        del node["status"]
        node["spec"]["cordon"] = True
        fairway.apply(node)
        fairway.apply(remote_manifest("chat", [a.url]))
        fairway.ready("chat")
        fairway.apply(remote_manifest("chat", [a.url, b.url]))
        wait_for(lambda: sorted(r["url"] for r in fairway.replicas("chat") if r["state"] == "ready") == sorted([a.url, b.url]),
                 "both serve")
        assert fairway.get("models")["items"][0]["spec"]["replicas"] == 2
        assert fairway.cli("scale", "chat", "--replicas", "1", check=False).returncode != 0
        fairway.cli("scale", "chat", "--replicas", "0")
        wait_for(lambda: fairway.replicas("chat") == [], "none is used")
        fairway.cli("scale", "chat", "--replicas", "2")
        fairway.ready("chat", 2)
        fairway.apply(remote_manifest("chat", [b.url]))
        wait_for(lambda: [r["url"] for r in fairway.replicas("chat")] == [b.url], "only the second is left")
        b.cli("delete", "model", "chat")  # a server without the model: its 404 is the client's
        with pytest.raises(openai.NotFoundError):
            fairway.client().chat.completions.create(model="chat", messages=HELLO)
        fairway.cli("delete", "model", "chat")
        wait_for(lambda: fairway.replicas("chat") == [], "it is gone")


# ---- what a server is told ----

class Recorder(http.server.BaseHTTPRequestHandler):
    """Keeps what came; answers requests with server.status."""
    protocol_version = "HTTP/1.1"

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.server.probes.append((self.path, self.headers["authorization"]))
        self.reply(200, b'{"data":[]}') if self.path == "/base/v1/models" else self.reply(404, b"{}")

    def do_POST(self):
        self.server.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()},
                                     json.loads(self.rfile.read(int(self.headers["content-length"])))))
        self.reply(self.server.status, b'{"error":{"message":"the key outgoing-secret is not mine"}}')

    def log_message(self, *arguments):
        pass


@pytest.fixture
def recorder():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    server.daemon_threads = True
    server.probes, server.requests, server.status = [], [], 200
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_a_server_is_told(recorder, tmp_path):
    """Its own key, name and path; nothing that is the client's own. And clients do not hear that our key was refused."""
    host = f"127.0.0.1:{recorder.server_port}"
    with Fairway("--quiet", env={"FAIRWAY_TEST_KEY": "outgoing-secret"}) as fairway:
        key, _ = make_key(fairway, "alice", tmp_path)
        fairway.apply(remote_manifest("chat", [f"http://{host}/base/v1/"], model="org/Chat", apiKeyEnv="FAIRWAY_TEST_KEY"))
        fairway.ready("chat")
        assert recorder.probes[:2] == [("/base/health", "Bearer outgoing-secret"), ("/base/v1/models", "Bearer outgoing-secret")]
        private = {"authorization": f"Bearer {key}", "x-api-key": key, "api-key": key, "cookie": "id=alice", "x-session-id": "s1",
                   "openai-organization": "org-alice"}

        def ask():
            return requests.post(fairway.url + "/v1/chat/completions", json={"model": "chat", "messages": HELLO}, headers=private)
        assert ask().status_code == 200
        path, headers, body = recorder.requests[-1]
        assert (path, headers["host"], headers["authorization"]) == ("/base/v1/chat/completions", host, "Bearer outgoing-secret")
        assert body == {"model": "org/Chat", "messages": HELLO}
        assert not {"x-api-key", "api-key", "cookie", "openai-organization"} & set(headers) and key not in str(headers)
        assert headers["x-session-id"] == "s1"
        recorder.status = 401
        refused = ask()
        assert refused.status_code == 503 and "outgoing-secret" not in refused.text + str(refused.headers) + fairway.log_text()


class Locked(Recorder):
    """Tells anybody that it is well, and speaks to those only who have server.key."""

    def is_open(self):
        return self.path == "/health" or self.headers["authorization"] == f"Bearer {self.server.key}"

    def do_GET(self):
        self.reply(200 if self.is_open() else 401, b"{}")

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.reply(200 if self.is_open() else 401, b"{}")


def test_a_key_is_replaced(fairway, recorder, tmp_path):
    """A server whose health is public: a key that it takes no longer shows all the same, and the file is read again."""
    recorder.RequestHandlerClass, recorder.key = Locked, "first"
    path = tmp_path / "key.secret"
    path.write_text("first")
    fairway.apply(remote_manifest("chat", [f"http://127.0.0.1:{recorder.server_port}"], apiKeyFile=str(path)))
    fairway.ready("chat")

    def answers():
        return requests.post(fairway.url + "/v1/chat/completions", json={"model": "chat", "messages": HELLO}).status_code == 200
    assert answers()
    recorder.key = "second"
    path.write_text("second")
    wait_for(answers, "the new key is used")
    recorder.key = "third"
    path.unlink()
    wait_for(lambda: fairway.replicas("chat")[0]["state"] == "unready", "it is not used")
    reasons = [e["reason"] for e in fairway.get("events")["items"]]
    assert reasons.count("ReloadFailed") == 1  # several looks, said once


# ---- llama-server ----

@pytest.fixture
def llama_server(tmp_path):
    if not LLAMA_SERVER.exists():
        pytest.skip(f"NOT TESTED: an engine of another make, because {LLAMA_SERVER} is not there")
    port, key = free_port(), "llama-secret-42"
    log = open(tmp_path / "llama-server.log", "wb")
    process = subprocess.Popen([LLAMA_SERVER, "--model", TINY_MODEL, "--host", "127.0.0.1", "--port", str(port), "--api-key", key,
                                "--alias", "org/stories", "--threads", "1", "--parallel", "2", "--ctx-size", "1024"],
                               stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}/v1", key
    finally:
        process.kill()
        process.wait()
        log.close()


def test_llama_server(llama_server):
    url, key = llama_server
    with Fairway("--quiet", env={"FAIRWAY_TEST_LLAMA_KEY": key}) as fairway:
        fairway.apply(remote_manifest("stories", [url], model="org/stories", apiKeyEnv="FAIRWAY_TEST_LLAMA_KEY",
                                      maxConcurrentRequests=2))
        fairway.ready("stories")
        client = fairway.client()
        answer = client.completions.create(model="stories", prompt="Once upon a time", max_tokens=8, temperature=0)
        assert answer.choices[0].text and answer.usage.completion_tokens == 8
        stream = list(client.chat.completions.create(model="stories", messages=HELLO, max_tokens=8, stream=True,
                                                     stream_options={"include_usage": True}))
        assert stream[-1].usage.completion_tokens == 8
        with pytest.raises(openai.APIStatusError) as refused:
            client.embeddings.create(model="stories", input="hello")
        assert "embeddings" in refused.value.message
        with concurrent.futures.ThreadPoolExecutor(6) as crowd:  # two at a time get in, the others wait in the queue
            asked = [crowd.submit(client.completions.create, model="stories", prompt="One", max_tokens=4,
                                  temperature=0) for _ in range(6)]
        assert [a.result().usage.completion_tokens for a in asked] == [4] * 6
        fairway.apply(remote_manifest("locked", [url]))
        says(fairway, "locked", "401 Unauthorized")
        assert key not in described(fairway, "stories") + fairway.log_text()

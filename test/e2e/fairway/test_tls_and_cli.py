# SPDX-License-Identifier: Apache-2.0
"""https with certificates loaded anew, and the habits of the command line."""
import fcntl
import json
import os
import pty
import re
import resource
import signal
import socket
import ssl
import subprocess
import termios
from contextlib import ExitStack

import requests

from fairway_process import BIN, TINY_MODEL, Fairway, wait_for


def make_certificate(folder, name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True)


def served_name(url):
    host, port = url.removeprefix("https://").split(":")
    context = ssl._create_unverified_context()
    with context.wrap_socket(socket.create_connection((host, int(port))), server_hostname=host) as connection:
        der = connection.getpeercert(binary_form=True)
    text = subprocess.run(["openssl", "x509", "-inform", "der", "-noout", "-subject"], input=der, capture_output=True)
    return text.stdout.decode().strip().rsplit("=", 1)[1].strip()


def test_https_and_new_certificates(tmp_path):
    make_certificate(tmp_path, "first")
    with Fairway("--quiet", "--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem")) as f:
        f.serve("sim", profile="decode=1000,answer=0")
        assert f.url.startswith("https://")
        session = requests.Session()
        session.trust_env = False  # REQUESTS_CA_BUNDLE would win over verify
        session.verify = str(tmp_path / "cert.pem")
        assert session.get(f.url + "/v1/models").json()["data"][0]["id"] == "sim"
        answer = session.post(f.url + "/v1/chat/completions", json={
            "model": "sim", "stream": True, "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}]})
        assert answer.text.rstrip().endswith("data: [DONE]")
        assert served_name(f.url) == "first"
        (tmp_path / "cert.pem").write_text("no certificate")
        f.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "certificates stay as they were" in f.log_text(), "the bad one is refused")
        assert served_name(f.url) == "first"
        make_certificate(tmp_path, "second")
        f.process.send_signal(signal.SIGHUP)
        wait_for(lambda: served_name(f.url) == "second", "the new certificate is served")


def sign_client(folder, name):
    """A certificate for a client, signed by the authority in the folder (cert.pem, key.pem)."""
    subprocess.run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                    "-keyout", folder / "client.key", "-out", folder / "client.csr"], check=True, capture_output=True)
    subprocess.run(["openssl", "x509", "-req", "-in", folder / "client.csr", "-CA", folder / "cert.pem", "-CAkey", folder / "key.pem",
                    "-CAcreateserial", "-days", "2", "-out", folder / "client.pem"], check=True, capture_output=True)


def test_only_clients_with_a_certificate(tmp_path):
    make_certificate(tmp_path, "authority")
    sign_client(tmp_path, "alice")
    files = [str(tmp_path / name) for name in ("cert.pem", "key.pem")]
    with Fairway("--quiet", "--tls-cert", files[0], "--tls-key", files[1], "--tls-client-ca", files[0]) as f:
        common = ["curl", "-sS", "--cacert", files[0], f.url + "/healthz"]
        with_one = subprocess.run([*common, "--cert", tmp_path / "client.pem", "--key", tmp_path / "client.key"],
                                  capture_output=True, text=True)
        assert with_one.stdout == "ok\n", with_one.stderr
        assert subprocess.run(common, capture_output=True).returncode != 0


def test_proxy_protocol():
    with Fairway("--quiet", "--proxy-protocol") as f:
        with_header = subprocess.run(["curl", "-sS", "--haproxy-protocol", f.url + "/healthz"], capture_output=True, text=True)
        assert with_header.stdout == "ok\n", with_header.stderr
        assert subprocess.run(["curl", "-sS", f.url + "/healthz"], capture_output=True).returncode != 0


def run(*arguments):
    return subprocess.run([BIN / "fairway", *arguments], capture_output=True, text=True, timeout=60)


def answers(connection):
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    return connection.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_more_connections_than_the_soft_limit_of_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard >= 1024, "this test needs a hard limit of 1,024 descriptors (ulimit -Hn)"
    fairway = Fairway()
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))  # Fairway inherits it
    try:
        fairway.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    host, port = fairway.url.removeprefix("http://").split(":")
    with ExitStack() as stack:
        stack.callback(fairway.__exit__, None, None, None)
        connections = [stack.enter_context(socket.create_connection((host, int(port)), timeout=30)) for _ in range(300)]
        assert all(answers(connection) for connection in connections)


def test_usage_and_exit_codes(tmp_path):
    state = ["--state", str(tmp_path)]
    assert run("--help").returncode == 0 and "usage: fairway" in run("--help").stdout
    for verb in ["up", "down", "apply", "get", "describe", "scale", "delete", "logs", "chat", "run", "key", "explain",
                 "version", "completion", "usage", "simulate", "gpus"]:
        done = run(verb, "--help")
        assert done.returncode == 0 and done.stdout.startswith(f"usage: fairway {verb}"), verb
    assert run("gte").returncode == 2 and "did you mean 'get'" in run("gte").stderr
    assert run("get", "models", *state).returncode == 4
    assert "fairway up" in run("get", "models", *state).stderr
    assert run("scale", "x", "--replicas", "many", *state).returncode == 2
    assert run("up", "--listen", "nowhere", *state).returncode == 2
    assert "contextLength" in run("explain", "model.spec.engine").stdout
    for shell in ["bash", "zsh", "fish"]:
        assert "describe" in run("completion", shell).stdout
    checked = subprocess.run(["bash", "-n"], input=run("completion", "bash").stdout, text=True)
    assert checked.returncode == 0


def test_run_answers_and_leaves_nothing():
    done = run("run", str(TINY_MODEL), "Once upon a time")
    assert done.returncode == 0 and len(done.stdout) > 5, done.stderr
    assert "fairway-run" not in subprocess.run(["pgrep", "-fa", "fairway-run-"], capture_output=True, text=True).stdout
    done = run("run", "/no/such.gguf", "hello")
    assert done.returncode == 1 and "/no/such.gguf" in done.stderr


def test_chat_in_the_terminal(fairway):
    fairway.serve("sim", profile="decode=1000,answer=20")
    talk = fairway.cli("chat", "sim", "tell me a story", check=False)
    assert talk.returncode == 0 and len(talk.stdout.split()) > 5
    talk = subprocess.run([BIN / "fairway", "chat", "sim", "--state", fairway.state], input="one\ntwo\n",
                          capture_output=True, text=True, timeout=60)
    assert talk.returncode == 0 and talk.stdout.count("\n") == 2
    assert "does not exist" in fairway.cli("chat", "none", "hello", check=False).stderr


def test_detach_and_down(tmp_path):
    state = ["--state", str(tmp_path / "state")]
    done = run("up", "--detach", "--demo", str(TINY_MODEL), "--listen", "127.0.0.1:0", *state)
    assert done.returncode == 0, done.stderr
    try:
        url = done.stdout.split("/v1/chat/completions")[0].split()[-1]
        assert requests.get(url + "/v1/models").json()["data"][0]["id"] == "chat"
    finally:
        assert run("down", *state).returncode == 0
    assert run("get", "models", *state).returncode == 4


def take_terminal(fd):
    os.setsid()
    fcntl.ioctl(fd, termios.TIOCSCTTY, 0)


def test_ctrl_c_on_a_terminal(tmp_path):
    """Ctrl-C as a person types it: all processes end, the port is free."""
    master, slave = pty.openpty()
    state = tmp_path / "state"
    up = subprocess.Popen([BIN / "fairway", "up", "--demo", TINY_MODEL, "--listen", "127.0.0.1:0", "--state", state],
                          stdin=slave, stdout=slave, stderr=slave, preexec_fn=lambda: take_terminal(slave))
    os.close(slave)
    shown = b""
    while b"Try it" not in shown:
        shown += os.read(master, 4096)
    port = int(re.search(rb"listens on http://127.0.0.1:(\d+)", shown).group(1))
    engines = [r["pid"] for r in json.loads(run("get", "replicas", "-o", "json", "--state", str(state)).stdout)["items"]]
    assert len(engines) == 1
    os.write(master, b"\x03")
    assert up.wait(60) == 0
    os.close(master)
    assert not os.path.exists(f"/proc/{engines[0]}")
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))

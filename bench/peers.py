# SPDX-License-Identifier: Apache-2.0
"""The peers of the benches: how each is got and run before given workers (ports on the loopback).

nginx and HAProxy come from the distribution. The gateways made for models come from PyPI, each into a Python environment of
its own in .cache/peers, at the versions and hashes of bench/peers/NAME.txt (Linux, CPython 3.11 to 3.13). They run with their
own defaults, which is prefix-aware routing for both routers; only limits below the load of the benches are raised.
"""
import argparse
import dataclasses
import hashlib
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys

from common import ROOT, Failure, Server, answers, first_line, free_port

WORKERS = min(os.cpu_count(), 8)  # what Fairway starts by default
CONNECTIONS = 16384               # what a peer must be able to hold
CACHE = ROOT / ".cache/peers"
INSTALL_SECONDS, START_SECONDS = 600, 90
LITELLM_KEY = "sk-bench-3f9c1a7d52e84b06"  # it refuses the well-known ones


@dataclasses.dataclass
class Peer:
    """One that runs. `most`: connections that it takes; `slow`: a request costs it milliseconds, so that it gets few;
    `rewritten`: it writes answers anew."""
    name: str
    port: int
    server: Server
    key: str = "none"
    most: int = CONNECTIONS
    slow: bool = False
    rewritten: bool = False


# ---- getting them ----

def environment(name):
    """The folder of the peer's Python environment, made on demand."""
    lock, folder = ROOT / f"bench/peers/{name}.txt", CACHE / name
    stamp, wanted = folder / "stamp", hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return folder
    print(f"installing {name} (once) ...", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    for command in ([sys.executable, "-m", "venv", folder],
                    [folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:",
                     "--require-hashes", "--requirement", lock]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise Failure(f"not installed within {INSTALL_SECONDS} s") from None
        if done.returncode:
            raise Failure(f"not installed: {done.stderr.strip()[-300:]}")
    stamp.write_text(wanted)
    return folder


def pinned(name):
    """As the lock file says: "litellm 1.106.12"."""
    lines = (ROOT / f"bench/peers/{name}.txt").read_text().splitlines()
    line = next(line for line in lines if line.replace("[", "=").startswith(name + "="))
    return f"{name} {line.split('==')[1].split()[0]}"


# ---- running them ----

def start_nginx(stack, folder, workers):
    port = free_port()
    servers = " ".join(f"server 127.0.0.1:{worker};" for worker in workers)
    pathlib.Path(folder, "nginx.conf").write_text(f"""
daemon off; pid {folder}/nginx.pid; worker_processes {WORKERS}; error_log stderr error;
events {{ worker_connections {CONNECTIONS}; }}
http {{
  access_log off; keepalive_requests 100000000; client_max_body_size 32m; client_body_buffer_size 1m;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream model {{ {servers} keepalive 512; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} reuseport;
    location / {{ proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
  }}
}}
""")
    server = stack.enter_context(Server("nginx", ["nginx", "-e", "stderr", "-c", f"{folder}/nginx.conf"], folder,
                                        with_children=True))
    server.wait(lambda: answers(port, "/ready", 200))
    return Peer("nginx", port, server)


def start_haproxy(stack, folder, workers):
    port = free_port()
    most = min(CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2 - 200)  # two descriptors each, or it refuses to start
    servers = "\n".join(f"  server replica{worker} 127.0.0.1:{worker}" for worker in workers)
    pathlib.Path(folder, "haproxy.cfg").write_text(f"""
global
  nbthread {WORKERS}
  maxconn {most}
defaults
  mode http
  option http-no-delay
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen model
  bind 127.0.0.1:{port}
{servers}
""")
    server = stack.enter_context(Server("haproxy", ["haproxy", "-db", "-f", f"{folder}/haproxy.cfg"], folder))
    server.wait(lambda: answers(port, "/ready", 200))
    return Peer("haproxy", port, server, most=most)


def urls(workers):
    return [f"http://127.0.0.1:{worker}" for worker in workers]


def start_vllm_router(stack, folder, workers):
    port = free_port()
    server = stack.enter_context(Server("vllm-router", [
        environment("vllm-router") / "bin/vllm-router", "--host", "127.0.0.1", "--port", str(port), "--prometheus-port",
        str(free_port()), "--log-level", "error", "--worker-urls", *urls(workers)], folder))
    server.wait(lambda: answers(port, "/health", 200), START_SECONDS)
    return Peer("vllm-router", port, server)


def start_smg(stack, folder, workers):
    port = free_port()
    server = stack.enter_context(Server("smg", [
        environment("smg") / "bin/smg", "launch", "--host", "127.0.0.1", "--port", str(port), "--prometheus-port",
        str(free_port()), "--log-level", "error", "--max-concurrent-requests", str(CONNECTIONS), "--worker-urls",
        *urls(workers)], folder))
    server.wait(lambda: answers(port, "/readiness", 200), START_SECONDS)
    return Peer("smg", port, server)


def start_litellm(stack, folder, workers):
    port = free_port()
    models = [{"model_name": "bench", "litellm_params": {"model": "openai/bench", "api_base": f"{url}/v1", "api_key": "none"}}
              for url in urls(workers)]
    config = pathlib.Path(folder, "litellm.yaml")  # JSON is YAML
    config.write_text(json.dumps({"model_list": models, "general_settings": {"master_key": LITELLM_KEY},
                                  "litellm_settings": {"telemetry": False}}))
    server = stack.enter_context(Server("litellm", [
        "env", "LITELLM_LOCAL_MODEL_COST_MAP=True", "LITELLM_LOG=ERROR", environment("litellm") / "bin/litellm",
        "--config", config, "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"], folder))
    server.wait(lambda: answers(port, "/health/readiness", 200), START_SECONDS)
    return Peer("litellm", port, server, key=LITELLM_KEY, slow=True, rewritten=True)


# name: how to start it, and what is its version
PEERS = {
    "nginx": (start_nginx, lambda: first_line("nginx", "-v")),
    "haproxy": (start_haproxy, lambda: first_line("haproxy", "-v")),
    "vllm-router": (start_vllm_router, lambda: pinned("vllm-router")),
    "smg": (start_smg, lambda: pinned("smg")),
    "litellm": (start_litellm, lambda: pinned("litellm")),
}


def start(name, stack, folder, workers):
    """The peer before the workers. Raises Failure with the reason."""
    if name in ("nginx", "haproxy") and not shutil.which(name):
        raise Failure("not installed: ./dev deps bench")
    return PEERS[name][0](stack, folder, workers)


def version(name):
    return PEERS[name][1]()


def prepare(names):
    """Installs those of PyPI before anything is measured. {name: reason} of those that cannot be had."""
    missing = {}
    for name in names:
        try:
            environment(name)
        except Failure as failure:
            missing[name] = str(failure)
            print(f"NOT MEASURED: {name}: {failure}", flush=True)
    return missing


def name_list(text, known=tuple(PEERS)):
    """Of --peers: names with commas between, "none", or "all"."""
    names = list(known) if text == "all" else [] if text == "none" else text.split(",")
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"no such peer: {name}; there are {', '.join(known)}")
    return names

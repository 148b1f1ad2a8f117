# SPDX-License-Identifier: Apache-2.0
"""A Fairway of the test's own: `fairway up` on a free port with a state folder that goes away."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import openai

ROOT = pathlib.Path(__file__).resolve().parents[3]
BIN = pathlib.Path(os.environ.get("FAIRWAY_BIN", ROOT / "build/release/bin"))
TINY_MODEL = ROOT / "test/data/models/stories260K-q8_0.gguf"


def wait_for(condition, what, seconds=60):
    """Waits for the condition, not for a time; the limit only ends a test that will fail."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


def model_manifest(name, replicas=1, slots=4, profile=None, **spec):
    """A simulated model with a profile, or the tiny real one."""
    engine = {"maxConcurrentRequests": slots}
    whole = {"engine": engine, "replicas": replicas, **spec}
    if profile is None:
        whole["source"] = {"uri": f"file://{TINY_MODEL}"}
        engine["args"] = ["--threads", "1"]
    else:
        engine.update({"type": "simulate", "args": [profile]})
    return {"apiVersion": "fairway.dev/v1", "kind": "Model", "metadata": {"name": name}, "spec": whole}


class Fairway:
    def __init__(self, *options, state=None, env=None):
        self.options, self.env = options, env or {}
        self.own_state = state is None
        self.state = state or tempfile.mkdtemp(prefix="fairway-test-")
        self.process = None

    def start(self):
        self.log = open(os.path.join(self.state, "test.log"), "ab")
        self.process = subprocess.Popen(
            [BIN / "fairway", "up", "--listen", "127.0.0.1:0", "--state", self.state, *self.options],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env={**os.environ, **self.env})
        self.log_start = self.log.tell()
        wait_for(lambda: self.cli("get", "nodes", check=False).returncode == 0 or self.process.poll() is not None,
                 "the admin API answers")
        assert self.process.poll() is None, self.log_text()
        self.url = re.findall(r"listens on (\S+)", self.log_text())[-1]
        return self

    def log_text(self):
        return pathlib.Path(self.state, "test.log").read_text(errors="replace")

    def stop(self, patience=60):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(patience) == 0, self.log_text()[-3000:]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, error, trace):
        try:
            self.stop()
            assert self.marked_processes() == []
        finally:
            if self.process and self.process.poll() is None:
                self.kill()
            for pid in self.marked_processes():
                os.kill(pid, signal.SIGKILL)
            self.log.close()
            if self.own_state and kind is None:
                shutil.rmtree(self.state, ignore_errors=True)

    # ---- the command line ----

    def cli(self, *arguments, check=True, stdin=None):
        done = subprocess.run([BIN / "fairway", *arguments, "--state", self.state], input=stdin,
                              capture_output=True, text=True, timeout=120)
        if check:
            assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done

    def get(self, *what):
        return json.loads(self.cli("get", *what, "-o", "json").stdout)

    def apply(self, manifest, check=True):
        return self.cli("apply", "-f", "-", stdin=json.dumps(manifest), check=check)

    def replicas(self, model):
        return [r for r in self.get("replicas")["items"] if r["model"] == model]

    def ready(self, model, count=1, seconds=60):
        def look():
            ready = [r for r in self.replicas(model) if r["state"] == "ready"]
            return (ready,) if len(ready) == count else None
        return wait_for(look, f"{count} replicas of {model} ready", seconds)[0]

    def serve(self, name, replicas=1, **rest):
        """Applies a model and waits until its replicas are ready."""
        self.apply(model_manifest(name, replicas=replicas, **rest))
        return self.ready(name, replicas)

    # ---- clients ----

    def client(self, key="none", **rest):
        return openai.OpenAI(base_url=self.url + "/v1", api_key=key, max_retries=0, timeout=120, **rest)

    def async_client(self, key="none", **rest):
        return openai.AsyncOpenAI(base_url=self.url + "/v1", api_key=key, max_retries=0, timeout=120, **rest)

    # ---- processes ----

    def marked_processes(self):
        """The engines that carry the mark of this state folder, by pid."""
        try:
            instance = pathlib.Path(self.state, "instance").read_text()
        except FileNotFoundError:
            return []
        mark = f"FAIRWAY_REPLICA={instance}:".encode()
        found = []
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes() and \
                        (folder / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
                    found.append(int(folder.name))
            except OSError:
                pass
        return sorted(found)


def metric(text, name, **labels):
    """The value of a series in a scrape; 0.0 when it is not there."""
    for line in text.splitlines():
        match = re.match(r"(\w[\w:]*)(?:\{(.*)\})? (\S+)", line)
        if match and match.group(1) == name:
            found = dict(re.findall(r'(\w+)="([^"]*)"', match.group(2) or ""))
            if all(found.get(k) == v for k, v in labels.items()):
                return float(match.group(3))
    return 0.0


class Gateway:
    """A `fairway gateway` that has joined; `where`: options that say whom."""

    def __init__(self, fairway, *where):
        self.fairway, self.where = fairway, where or ("--join", f"unix:{fairway.state}/admin.sock")

    def start(self):
        self.log = tempfile.NamedTemporaryFile(prefix="gateway-", suffix=".log", dir=self.fairway.state)
        self.process = subprocess.Popen(
            [BIN / "fairway", "gateway", "--listen", "127.0.0.1:0", "--quiet", *self.where],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        wait_for(lambda: "listens on" in self.log_text() or self.process.poll() is not None, "the gateway has joined")
        assert self.process.poll() is None, self.log_text()
        self.url = re.findall(r"listens on (\S+)", self.log_text())[-1]
        return self

    def log_text(self):
        return pathlib.Path(self.log.name).read_text(errors="replace")

    def stop(self, patience=60):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(patience) == 0, self.log_text()[-3000:]

    def kill(self):
        self.process.kill()
        self.process.wait()

    client, async_client = Fairway.client, Fairway.async_client

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, error, trace):
        try:
            if self.process.poll() is None:
                self.stop()
        finally:
            if self.process.poll() is None:
                self.kill()
            self.log.close()

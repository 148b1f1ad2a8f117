# SPDX-License-Identifier: Apache-2.0
"""A fairway-engine of its own for a test, on a free port of the loopback."""
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time

import openai
import requests

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("FAIRWAY_BUILD", ROOT / "build" / "release"))
BINARY = BUILD / "bin" / "fairway-engine"
MODEL = ROOT / "test" / "data" / "models" / "stories260K-q8_0.gguf"
WAIT = 60  # seconds; a bound for hangs, not a measure of speed


def wait_until(condition, what):
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end, f"waited {WAIT} s in vain: {what}"
        time.sleep(0.01)


class Engine:
    def __init__(self, *arguments, model=MODEL, name="tiny", wait=True, environment=None):
        source = ["--model", str(model)] if model else []
        command = [str(BINARY), *source, "--name", name, "--port", "0", "--threads", "1", *arguments]
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self.log, text=True, env={**os.environ, **(environment or {})}
        )
        line = self.process.stdout.readline()
        match = re.search(r"listening on .*:(\d+)$", line)
        assert match, self.log_text()
        self.port = int(match.group(1))
        self.url = f"http://127.0.0.1:{self.port}"
        self.name = name
        if wait:
            wait_until(lambda: self.status("/ready") == 200, "ready")

    def client(self, **options):
        options = {"max_retries": 0, "timeout": WAIT, **options}
        return openai.OpenAI(base_url=self.url + "/v1", api_key="none", **options)

    def status(self, path):
        return requests.get(self.url + path, timeout=WAIT).status_code

    def metric(self, name, **labels):
        """The sum over the series that have these labels."""
        total = 0.0
        for line in requests.get(self.url + "/metrics", timeout=WAIT).text.splitlines():
            found = re.match(re.escape(name) + r"(?:\{(.*)\})? (\S+)$", line)
            have = dict(re.findall(r'(\w+)="([^"]*)"', found.group(1) or "")) if found else {}
            if found and labels.items() <= have.items():
                total += float(found.group(2))
        return total

    def log_text(self):
        self.log.seek(0)
        return self.log.read().decode()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self):
        return self.process.wait(WAIT)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()

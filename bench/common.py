# SPDX-License-Identifier: Apache-2.0
"""What the benches share: the machine in words, processes and what they use, medians with their spread, tables."""
import argparse
import contextlib
import http.client
import json
import os
import pathlib
import platform
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BIN = pathlib.Path(os.environ.get("FAIRWAY_BIN", ROOT / "build/release/bin"))


class Failure(Exception):
    """The bench cannot go on; the message is for people."""


# ---- the machine ----

def machine():
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
               platform.machine())
    return {"cores": os.cpu_count(), "cpu": cpu, "kernel": platform.release(),
            "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
            "load_average": round(os.getloadavg()[0], 2)}


def describe(facts):
    return (f"{facts['cores']} cores ({facts['cpu']}), {facts['memory_gib']} GiB, Linux {facts['kernel']}, "
            f"load average {facts['load_average']} at the start")


def first_line(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return (done.stdout + done.stderr).strip().splitlines()[0]


def raise_file_limit():
    """Of this process and its children, as far as it may. Returns what it is now."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


# ---- processes ----

def wait_for(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise Failure(f"not within {seconds} s: {what}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers(port, path="/", status=None):
    """Does a server answer there (with this status)?"""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return status in (None, connection.getresponse().status)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class Server:
    """A process of the bench: started, waited for, and ended with it."""

    def __init__(self, name, command, log_folder, with_children=False, patience=15):
        self.name, self.patience, self.with_children = name, patience, with_children
        self.log_path = pathlib.Path(log_folder, name + ".log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait(self, ready, seconds=30):
        def look():
            if self.process.poll() is not None:
                raise Failure(f"{self.name} ended at its start: {self.log()[-500:]}")
            return ready()
        return wait_for(look, f"{self.name} is ready", seconds)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def pids(self):
        pids = [self.process.pid]
        if self.with_children:
            children = pathlib.Path(f"/proc/{pids[0]}/task/{pids[0]}/children").read_text()
            pids += [int(pid) for pid in children.split()]
        return pids

    def cpu_seconds(self):
        """User and system time of all threads, from the scheduler: in nanoseconds, where stat counts ticks of 10 ms."""
        total = 0
        for pid in self.pids():
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def rss_mb(self):
        pages = sum(int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids())
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def pss_mb(self):
        """Pages that processes share count once."""
        total = 0
        for pid in self.pids():
            rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(re.search(r"^Pss: +(\d+)", rollup, re.MULTILINE).group(1))
        return total * 1024 / 1e6

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(self.patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@contextlib.contextmanager
def scratch():
    """A folder that goes with the bench; other users may look in (nginx's workers must)."""
    folder = tempfile.mkdtemp(prefix="fairway-bench-")
    os.chmod(folder, 0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Fairway:
    """`fairway up` on a free port, with a state folder that goes with the bench."""

    def __init__(self, stack, folder):
        self.state = os.path.join(folder, "state")
        os.mkdir(self.state, 0o700)
        stack.callback(self.end_replicas)
        self.server = stack.enter_context(Server(
            "fairway", [BIN / "fairway", "up", "--quiet", "--listen", "127.0.0.1:0", "--state", self.state], folder, patience=40))
        self.server.wait(lambda: re.search(r"listens on http://127.0.0.1:(\d+)", self.server.log()))
        self.port = int(re.findall(r"listens on http://127.0.0.1:(\d+)", self.server.log())[-1])

    def cli(self, *arguments, stdin=None):
        done = subprocess.run([BIN / "fairway", *arguments, "--state", self.state], input=stdin, capture_output=True,
                              text=True, timeout=30, check=False)
        if done.returncode:
            raise Failure(f"fairway {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def apply(self, kind, name, **spec):
        self.cli("apply", "-f", "-", stdin=json.dumps(
            {"apiVersion": "fairway.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}))

    def new_key(self, name, tenant=None):
        return self.cli("key", "create", name, *(["--tenant", tenant] if tenant else [])).strip()

    def replicas(self, model, state=None):
        items = json.loads(self.cli("get", "replicas", "-o", "json"))["items"]
        return [r for r in items if r["model"] == model and state in (None, r["state"])]

    def serve(self, model, **spec):
        """Applies the model; its replicas, when all of them are ready."""
        self.apply("Model", model, **spec)

        def all_ready():
            ready = self.replicas(model, "ready")
            return ready if len(ready) == spec["replicas"] else None
        return self.server.wait(all_ready)

    def end_replicas(self):
        """Fairway ends them itself, unless it was killed: then by the mark that they carry."""
        try:
            mark = b"FAIRWAY_REPLICA=" + pathlib.Path(self.state, "instance").read_bytes() + b":"
        except OSError:
            return
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes():
                    os.kill(int(folder.name), signal.SIGKILL)
            except OSError:
                pass


# ---- figures ----

def percentile(values, share):
    """Of at least one value."""
    return sorted(values)[round(share * (len(values) - 1))]


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def number(value):
    """Three digits that say something."""
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.4f}"


def cell(s):
    """The spread only where there is one."""
    if s["min"] == s["max"]:
        return number(s["median"])
    return f"{number(s['median'])} ({number(s['min'])}..{number(s['max'])})"


def print_table(head, rows):
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, ["-" * width for width in widths], *rows]:
        print("| " + " | ".join(text.ljust(width) for text, width in zip(row, widths)) + " |")


# ---- the command line ----

def options(description, rounds, limit_seconds):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help=f"of every measurement ({rounds})")
    parser.add_argument("--quick", action="store_true", help="one short round: does it work at all?")
    parser.add_argument("--json", metavar="FILE", help="the figures of every round, too")
    parser.set_defaults(limit_seconds=limit_seconds)
    return parser


def run(bench, arguments):
    """Runs the bench within its time; whatever ends it, its servers end with it. Returns the exit status."""
    def too_long(*_):
        raise Failure(f"not done within {arguments.limit_seconds} s")

    def stopped(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, too_long)
    signal.signal(signal.SIGTERM, stopped)
    signal.alarm(arguments.limit_seconds)
    try:
        report = bench(arguments)
    except Failure as failure:
        print(f"error: {failure}")
        return 1
    except KeyboardInterrupt:
        print("stopped")
        return 130
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(report, indent=2) + "\n")
    return 1 if report["errors"] else 0

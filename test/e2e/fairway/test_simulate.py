# SPDX-License-Identifier: Apache-2.0
"""`fairway simulate`: openb on a small cut of the trace, and the example of a scenario."""
import gzip
import html.parser
import json
import pathlib
import subprocess

import pytest

from fairway_process import BIN

DATA = pathlib.Path(__file__).resolve().parents[2] / "data/openb"
FILES = ["--nodes", DATA / "nodes.csv", "--pods", DATA / "pods.csv"]
POLICIES = ["first_fit", "best_fit", "packing", "clustering", "dot_product", "random", "fgd", "fairway"]


def simulate(*arguments):
    return subprocess.run([BIN / "fairway", "simulate", *arguments], capture_output=True, text=True, timeout=60)


def report(*arguments):
    done = simulate("openb", *FILES, "-o", "json", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("policy", POLICIES)
def test_report(policy):
    r = report("--policy", policy, "--seed", "3", "--arrive", "1.3")
    assert (r["policy"], r["seed"], r["arrive"], r["nodes"], r["gpus"], r["tasks"]) == (policy, 3, 1.3, 203, 1016, 408)
    assert r["arrived"] == r["placed"] + r["dropped"] and r["dropped"] > 0
    assert r["decisionsPerSecond"] > 0 and r["slowestDecisionMicroseconds"] >= 0
    allocated = {point["arrivedPercent"]: point["allocatedPercent"] for point in r["points"]}
    assert list(allocated) == sorted(allocated) and max(allocated) == 130
    assert len(allocated) >= 125  # a task is at most 8 of 1016 GPUs
    assert all(share <= percent + 0.51 for percent, share in allocated.items())
    assert abs(allocated[130] - r["allocatedPercent"]) < 1 and 129 < r["arrivedPercent"] <= 130


def test_two_runs_are_byte_equal(tmp_path):
    first, second = (simulate("openb", *FILES, "-o", "json", "--no-speed").stdout for _ in range(2))
    assert first and first == second and "PerSecond" not in first
    packed = []
    for name in ["nodes", "pods"]:
        path = tmp_path / f"{name}.csv.gz"
        path.write_bytes(gzip.compress((DATA / f"{name}.csv").read_bytes()))
        packed += [f"--{name}", path]
    assert simulate("openb", *packed, "-o", "json", "--no-speed").stdout == first
    assert simulate("openb", *FILES, "-o", "json", "--no-speed", "--seed", "2").stdout != first


def test_table():
    lines = simulate("openb", *FILES, "--policy", "best_fit").stdout.splitlines()
    assert lines[0].startswith("203 nodes, 1016 GPUs;") and "best_fit (seed 1)" in lines[0]
    assert "decisions per second" in lines[1]
    assert lines[2].split() == ["ARRIVED", "ALLOCATED"]
    assert [line.split()[0] for line in lines[3:]] == [f"{percent}%" for percent in range(0, 131, 10)]


def test_wrong_usage(tmp_path):
    bad = tmp_path / "nodes.csv"
    bad.write_text("sn,cpu_milli,memory_mib,gpu,model\nx,many,1,1,T4\n")
    for arguments, status, message in [
        ([], 2, "say what to simulate: run FILE, run --live, snapshot, or openb"),
        (["openb"], 2, "give --nodes FILE and --pods FILE"),
        (["openb", *FILES, "--policy", "best"], 2, "--policy takes one of first_fit, best_fit"),
        (["openb", *FILES, "--seed", "x"], 2, "--seed takes a number, not x"),
        (["openb", *FILES, "--arrive", "0"], 2, "--arrive takes"),
        (["openb", *FILES, "-o", "yaml"], 2, "-o takes table or json"),
        (["openb", "--nodes", bad, "--pods", DATA / "pods.csv"], 1, f"{bad}, line 2: cpu_milli is no number: 'many'"),
        (["openb", "--nodes", tmp_path / "none", "--pods", bad], 3, "none: No such file"),
    ]:
        done = simulate(*arguments)
        assert (done.returncode, message in done.stderr) == (status, True), (arguments, done.returncode, done.stderr)


# ---- run ----

DAY = pathlib.Path(__file__).resolve().parents[3] / "docs/examples/day.yaml"
SHORT = ["--set", "duration=2h"]


class Page(html.parser.HTMLParser):
    """What is open, what there is, and every address that would be loaded."""
    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.loads, self.problems = [], {}, [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.seen[tag] = self.seen.get(tag, 0) + 1
        self.loads += [value for name, value in attributes if name in ("src", "href", "data")]
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen[tag] = self.seen.get(tag, 0) + 1

    def handle_endtag(self, tag):
        while self.open and self.open[-1] in ("li", "p") and self.open[-1] != tag:
            self.open.pop()
        if not self.open or self.open.pop() != tag:
            self.problems.append(tag)


def test_run_two_runs_are_byte_equal(tmp_path):
    def run(name, *arguments):
        trace, page = tmp_path / f"{name}.jsonl", tmp_path / f"{name}.html"
        done = simulate("run", DAY, *SHORT, "-o", "json", "--trace", trace, "--html", page, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout, trace.read_text(), page.read_text()

    first = run("a")
    assert first == run("b") and first[1] != run("c", "--seed", "2")[1]
    decisions = [json.loads(line) for line in first[1].splitlines()]
    figures = json.loads(first[0])["figures"]
    assert len(decisions) == figures["decisions"] > 1000
    assert [d["at"] for d in decisions] == sorted(d["at"] for d in decisions) and decisions[-1]["at"] <= 7200


def test_run_report():
    report = json.loads(simulate("run", DAY, "--seed", "2", "-o", "json").stdout)
    figures, classes = report["figures"], {c["name"]: c for c in report["classes"]}
    assert (report["nodes"], report["gpus"], report["durationSeconds"]) == (200, 1280, 86400)
    assert list(classes) == ["pretrain", "finetune", "batch", "chat", "embed"]
    hours = sum(c["usefulGpuHours"] + c["lostGpuHours"] + c["startingGpuHours"] for c in classes.values())
    assert abs(hours - report["givenGpuHours"]) < 0.01
    assert figures["jobsArrived"] == sum(figures[k] for k in ("jobsCompleted", "jobsRunning", "jobsWaiting"))
    assert figures["evictions"] > 100 and classes["chat"]["evicted"] == 0
    assert {q["name"] for q in report["queues"]} == {"serving", "research", "product"}
    assert len(report["series"]) == 240
    assert all(s["jobGpus"] + s["serviceGpus"] <= s["gpus"] + 0.01 for s in report["series"])


def test_run_page_needs_nothing_else(tmp_path):
    for name, arguments in (("one", []), ("three", ["--policy", "fairway,fgd,best_fit"])):
        path = tmp_path / f"{name}.html"
        done = simulate("run", DAY, *SHORT, "--html", path, *arguments)
        assert done.returncode == 0, done.stderr
        page = Page(path.read_text())
        assert not page.problems and not page.open and not page.loads
        assert "script" not in page.seen and page.seen["svg"] == page.seen["desc"] >= 10
        assert page.seen["table"] >= 5 and "prefers-color-scheme:dark" in path.read_text()


def test_run_side_by_side(tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(DAY.read_text().replace("h100, count: 120", "h100, count: 60"))
    lines = simulate("run", DAY, *SHORT, "--policy", "fairway,fgd", "--compare", other).stdout.splitlines()
    assert lines[2].split() == ["FIGURE", "fairway", "fgd", str(other)]
    report = json.loads(simulate("run", DAY, *SHORT, "--compare", other, "-o", "json").stdout)
    assert [r["gpus"] for r in report["runs"]] == [1280, 800]
    lost = json.loads(simulate("run", DAY, *SHORT, "--set", "nodes.h100.count=60", "-o", "json").stdout)
    assert lost == report["runs"][1]


def test_run_wrong_usage(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text(DAY.read_text().replace("priority: 100", "priorty: 100", 1))
    none = tmp_path / "none"
    for arguments, status, message in [
        ([], 2, "say which file"),
        ([DAY, "--policy", "best"], 2, "--policy takes one of first_fit, best_fit"),
        ([DAY, "--policy", ""], 2, "--policy takes one of"),
        ([DAY, "--seed", "x"], 2, "--seed takes a number, not x"),
        ([DAY, "--set"], 2, "--set needs a value"),
        ([DAY, "-o", "yaml"], 2, "-o takes table or json"),
        ([DAY, "--set", "nodes.h200.count=1"], 3, "nodes.h200.count: there is no such place in the file"),
        ([DAY, "--set", "nodes.h100.gpus=8xA100-80G"], 1, "no GPU of model H100-80G in this cluster"),
        ([bad], 1, f"{bad}: line 15: services[0].priorty: unknown field; did you mean \"priority\"?"),
        ([none], 3, f"{none}: cannot be read: No such file"),
        ([DAY, *SHORT, "--html", none / "x"], 3, "cannot be written: No such file"),
        ([DAY, *SHORT, "--trace", none / "x"], 3, "cannot be written: No such file"),
    ]:
        done = simulate("run", *arguments)
        assert (done.returncode, message in done.stderr) == (status, True), (arguments, done.returncode, done.stderr)


def test_help():
    for arguments in (["--help"], ["run", "--help"]):
        done = simulate(*arguments)
        assert done.returncode == 0 and "simulate run FILE" in done.stdout and "--html FILE" in done.stdout


def test_completion():
    script = subprocess.run([BIN / "fairway", "completion", "bash"], capture_output=True, text=True, check=True).stdout

    def complete(*words):
        asked = script + f"\nCOMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _fairway; echo ${{COMPREPLY[@]}}"
        return subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True).stdout.split()

    assert complete("fairway", "simu") == ["simulate"]
    assert complete("fairway", "simulate", "") == ["run", "snapshot", "openb"]
    assert complete("fairway", "simulate", "openb", "--policy", "f") == ["first_fit", "fgd", "fairway"]

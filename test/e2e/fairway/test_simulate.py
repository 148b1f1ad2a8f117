# SPDX-License-Identifier: Apache-2.0
"""`fairway simulate openb` on a small cut of the trace."""
import gzip
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
        ([], 2, "say which experiment: openb"),
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


def test_completion():
    script = subprocess.run([BIN / "fairway", "completion", "bash"], capture_output=True, text=True, check=True).stdout

    def complete(*words):
        asked = script + f"\nCOMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _fairway; echo ${{COMPREPLY[@]}}"
        return subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True).stdout.split()

    assert complete("fairway", "simu") == ["simulate"]
    assert complete("fairway", "simulate", "op") == ["openb"]
    assert complete("fairway", "simulate", "openb", "--policy", "f") == ["first_fit", "fgd", "fairway"]

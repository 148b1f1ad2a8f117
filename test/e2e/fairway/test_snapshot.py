# SPDX-License-Identifier: Apache-2.0
"""`fairway simulate` of what runs: what it says of a change is what then happens."""
import json
import subprocess

import pytest

from fairway_process import BIN, Fairway, model_manifest, wait_for
from test_jobs import phase, shell, sim, status, tenant


@pytest.fixture
def full():
    """Eight GPUs: four of three models in the one tenant, a gang of four in another that has borrowed two."""
    with Fairway("--quiet", "--gpus", "8xH100-80G") as f:
        f.apply(tenant("serving", gpus=6))
        f.apply(tenant("research", gpus=2))
        for name, replicas in (("chat", 2), ("embed", 1), ("code", 1)):
            f.apply(sim(name, replicas, tenant="serving"))
        for name, replicas in (("chat", 2), ("embed", 1), ("code", 1)):
            f.ready(name, replicas)
        f.apply(shell("train", "exec sleep 600", members=4, minMembers=4, resources={"gpus": 1}, tenant="research",
                      expectedDuration="2h", checkpoint={"grace": "10s"}))
        phase(f, "train", "Running")
        yield f


def live(f, *arguments):
    report = json.loads(f.cli("simulate", "run", "--live", "-o", "json", *arguments).stdout)
    return {c["name"]: c for c in report["classes"]}


def manifest(tmp_path, *resources):
    path = tmp_path / "added.yaml"
    path.write_text("\n---\n".join(json.dumps(r) for r in resources))
    return path


def rows(done):
    """Of the table: {"service chat": [cells]}."""
    lines = [line.split("   ") for line in done.stdout.splitlines()]
    table = [[cell.strip() for cell in cells if cell.strip()] for cells in lines if len(cells) > 3]
    assert table[0] == ["WHO", "WANTED", "PLACED AT ONCE", "LONGEST WAIT", "EVICTED"]
    return {cells[0]: cells[1:] for cells in table[1:]}


def node_name(f):
    return f.get("nodes")["items"][0]["metadata"]["name"]


def test_what_runs_is_placed(full, tmp_path):
    assert rows(full.cli("simulate", "run", "--live")) == {
        "job train": ["1", "1", "-", "0"], "service chat": ["2", "2", "-", "0"],
        "service code": ["1", "1", "-", "0"], "service embed": ["1", "1", "-", "0"]}
    now = tmp_path / "now.yaml"
    now.write_text(full.cli("simulate", "snapshot").stdout)
    report = json.loads(full.cli("simulate", "snapshot", "-o", "json").stdout)
    assert {q["name"]: q.get("nominal") for q in report["queues"]} == {
        "cohort": None, "serving": {"gpus": 6}, "research": {"gpus": 2}, "default": {"gpus": 0}}
    lost = [BIN / "fairway", "simulate", "run", now, "-o", "json", "--set", f"nodes.{node_name(full)}.gpus=2xH100-80G"]
    classes = {c["name"]: c for c in json.loads(subprocess.check_output(lost, timeout=60))["classes"]}
    assert classes["train"]["waiting"] == 1 and sum(c["running"] for c in classes.values()) == 2
    assert {n: c["running"] for n, c in live(full, "--set", f"nodes.{node_name(full)}.gpus=2xH100-80G").items()} == \
        {n: c["running"] for n, c in classes.items()}


def test_a_model_that_takes_the_room_of_a_job(full, tmp_path):
    """It is in its tenant's own quota, so the gang has to go; and so it does."""
    more = sim("more", 2, tenant="serving")
    told = rows(full.cli("simulate", "run", "--live", "--add", manifest(tmp_path, more)))
    both = full.cli("simulate", "run", "--live", "--add", "-", "--policy", "fairway,best_fit", stdin=json.dumps(more)).stdout
    assert both.count("service more    2        0                10s") == 2
    assert told["service more"] == ["2", "0", "10s", "0"]
    assert told["job train"][-1] == "1"
    assert all(told[f"service {name}"][2:] == ["-", "0"] for name in ("chat", "code", "embed"))
    full.apply(more)
    full.ready("more", 2)
    assert phase(full, "train", "Pending")["evictions"] == 1
    assert rows(full.cli("simulate", "run", "--live"))["job train"] == ["1", "0", "to the end", "0"]


def test_what_does_not_fit_waits(full, tmp_path):
    """More than its tenant has, more than the machine has, a GPU that there is not: each waits, and nobody has to go."""
    added = [sim("large", 1, gpus=5, tenant="serving"), sim("huge", 1, gpus=9), shell("tune", "exec sleep 600", resources={"gpus": 1})]
    added.append(sim("other"))
    added[-1]["spec"]["resources"]["gpuModels"] = ["A10-24G"]
    before = live(full)
    told = live(full, "--add", manifest(tmp_path, *added))
    assert {n for n, c in told.items() if c["placedAtOnce"] < c["arrived"]} == {"large", "huge", "tune", "other"}
    assert not any(c["evicted"] for c in told.values())
    assert all(told[name]["running"] == before[name]["running"] for name in ("chat", "embed", "code"))
    for resource in added:
        full.apply(resource)
    phase(full, "tune", "Pending")
    full.cli("why", "job/tune")
    for name in ("large", "huge", "other"):
        assert full.get("model", name)["status"]["readyReplicas"] == 0
    assert status(full, "train")["phase"] == "Running" and status(full, "train")["evictions"] == 0
    assert len(full.replicas("chat")) == 2
    waits = {n for n, c in live(full).items() if c["placedAtOnce"] < c["arrived"]}
    assert waits == {"large", "huge", "tune", "other"}


def test_memory_is_what_a_replica_has_room_for(fairway):
    fairway.apply(model_manifest("chat", profile="decode=1000,answer=5", resources={"memory": "96Mi"}))
    wait_for(lambda: [r for r in fairway.replicas("chat") if r["state"] != "pending"], "chat has room")
    assert fairway.replicas("chat")[0]["memoryWanted"] == 96 << 20
    service, = json.loads(fairway.cli("simulate", "snapshot", "-o", "json").stdout)["services"]
    assert service["resources"] == {"memory": "96Mi"} and service["replicas"] == [{"count": 1}]


def test_wrong_usage(fairway, tmp_path):
    for arguments, code, message in [
        (["run", "--live", "x.yaml"], 2, "take x.yaml or --live"),
        (["run", "x.yaml", "--add", "y.yaml"], 2, "go with --live"),
        (["run", "--live"], 1, "nobody asks for anything"),
        (["run", "--live", "--add", manifest(tmp_path, tenant("a"))], 1, "tenants/a: a Model or a Job can be added"),
        (["snapshot", "-o", "table"], 2, "-o takes yaml or json"),
        (["snapshot", "--duration", "soon"], 1, "--duration takes a time like 30m or 2h, not soon"),
    ]:
        done = fairway.cli("simulate", *arguments, check=False)
        assert (done.returncode, message in done.stderr) == (code, True), (arguments, done.returncode, done.stderr)
    gone = subprocess.run([BIN / "fairway", "simulate", "snapshot", "--state", tmp_path / "none"], capture_output=True, text=True)
    assert gone.returncode == 4 and "is not running" in gone.stderr

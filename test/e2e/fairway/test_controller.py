# SPDX-License-Identifier: Apache-2.0
"""Desired state through the command line: apply, scale, delete, errors, restarts, adoption after kill -9."""
import json
import os
import random
import sqlite3
import subprocess
import tempfile
import threading

import pytest

from fairway_process import BIN, Fairway, model_manifest, wait_for


def test_apply_scale_update_delete(fairway):
    sim = model_manifest("sim", profile="decode=1000")
    assert "models/sim created" in fairway.apply(sim).stdout
    assert "models/sim unchanged" in fairway.apply(sim).stdout
    (first,) = fairway.ready("sim")
    fairway.cli("scale", "sim", "--replicas", "3")
    assert first["pid"] in {r["pid"] for r in fairway.ready("sim", 3)}
    fairway.cli("scale", "model/sim", "--replicas", "1")
    wait_for(lambda: len(fairway.marked_processes()) == 1, "two replicas have ended")
    (one,) = fairway.ready("sim")
    sim["spec"]["engine"]["args"] = ["decode=2000"]
    assert "models/sim changed" in fairway.apply(sim).stdout
    wait_for(lambda: [r["pid"] for r in fairway.replicas("sim") if r["state"] == "ready"] not in ([one["pid"]], []) and
             len(fairway.replicas("sim")) == 1, "replaced by the new revision")
    fairway.cli("delete", "sim")
    wait_for(lambda: fairway.marked_processes() == [], "no process is left")
    assert fairway.cli("get", "model", "sim", check=False).returncode == 3


def test_a_queue_limit_needs_no_new_process(fairway):
    (before,) = fairway.serve("sim", profile="decode=1000")
    fairway.apply(model_manifest("sim", profile="decode=1000", queue={"maxLength": 5}))
    (after,) = fairway.ready("sim")
    assert after["pid"] == before["pid"]
    assert fairway.get("model", "sim")["metadata"]["generation"] == 2


def test_status_and_description(fairway):
    fairway.serve("sim", replicas=2, profile="decode=1000")
    status = fairway.get("model", "sim")["status"]
    assert status["readyReplicas"] == 2 and status["conditions"][0]["status"] == "True"
    text = fairway.cli("describe", "sim").stdout
    assert "readiness probe passed" in text and "generation 1" in text
    table = fairway.cli("get", "models").stdout.splitlines()
    assert table[0].split() == ["NAME", "REPLICAS", "READY", "STATUS", "SOURCE", "AGE"]
    assert table[1].split()[:4] == ["sim", "2", "2", "Ready"]
    assert "sim" in fairway.cli("get", "models", "-o", "yaml").stdout
    assert fairway.cli("logs", "sim").stdout


@pytest.mark.parametrize("change, words", [
    ({"replicsa": 2}, ["spec.replicsa", "replicas"]),
    ({"replicas": "two"}, ["spec.replicas"]),
    ({"replicas": 1001}, ["spec.replicas"]),
    ({"engine": {"type": "llama"}}, ["spec.source.uri"]),
    ({"engine": {"type": "lama"}}, ["spec.engine.type", "llama"]),
])
def test_a_wrong_manifest_is_refused_with_its_place(fairway, change, words):
    manifest = model_manifest("sim", profile="decode=1000")
    manifest["spec"].update(change)
    done = fairway.apply(manifest, check=False)
    assert done.returncode == 1
    for word in words:
        assert word in done.stderr
    assert fairway.get("models")["items"] == []


def test_line_numbers_in_yaml(fairway):
    text = "apiVersion: fairway.dev/v1\nkind: Model\nmetadata: {name: a}\nspec:\n  replicas: 1\n  engnie: {}\n"
    done = fairway.cli("apply", "-f", "-", stdin=text, check=False)
    assert "line 6" in done.stderr and "engine" in done.stderr


def test_a_model_that_does_not_fit_says_the_arithmetic(fairway):
    manifest = model_manifest("huge", profile="decode=1000")
    manifest["spec"]["resources"] = {"memory": "100Ti"}
    fairway.apply(manifest)
    status = wait_for(lambda: fairway.get("model", "huge").get("status"), "a status")
    message = status["conditions"][0]["message"]
    assert status["phase"] == "DoesNotFit" and "102400.00 GiB" in message and "available" in message
    assert fairway.marked_processes() == []


def test_a_missing_file_is_said(fairway):
    manifest = model_manifest("gone")
    manifest["spec"]["source"]["uri"] = "file:///no/such/file.gguf"
    fairway.apply(manifest)
    condition = fairway.get("model", "gone")["status"]["conditions"][0]
    assert condition["reason"] == "CannotRun" and "/no/such/file.gguf" in condition["message"]


def test_a_crashing_engine_backs_off_and_a_new_manifest_mends_it(fairway):
    manifest = model_manifest("sim", profile="decode=1000")
    manifest["spec"]["engine"] = {"type": "custom", "command": ["/bin/false"]}
    fairway.apply(manifest)
    wait_for(lambda: any(r["restarts"] >= 1 for r in fairway.replicas("sim")), "it was started again")
    assert "exit code 1" in fairway.cli("describe", "sim").stdout
    fairway.serve("sim", profile="decode=1000")


def test_one_fairway_per_state_folder(fairway):
    done = subprocess.run([BIN / "fairway", "up", "--listen", "127.0.0.1:0", "--state", fairway.state],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "already running" in done.stderr
    assert fairway.get("models")["items"] == []  # the first one is unharmed


def test_taken_port_is_said(fairway):
    port = fairway.url.rsplit(":", 1)[1]
    with tempfile.TemporaryDirectory() as state:
        done = subprocess.run([BIN / "fairway", "up", "--listen", f"127.0.0.1:{port}", "--state", state],
                              capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and f"port {port}" in done.stderr and "choose another" in done.stderr


def test_engines_survive_kill_and_are_adopted():
    f = Fairway("--quiet").start()
    try:
        f.serve("tiny", replicas=2)
        before = sorted(r["pid"] for r in f.replicas("tiny"))
        f.kill()
        assert f.marked_processes() == before
        f.start()
        assert sorted(r["pid"] for r in f.ready("tiny", 2)) == before
        assert f.client().completions.create(model="tiny", prompt="a", max_tokens=3).usage.completion_tokens == 3
    finally:
        f.__exit__(None, None, None)


def test_orphans_end_when_their_model_is_gone():
    f = Fairway("--quiet").start()
    try:
        f.serve("sim", replicas=2, profile="decode=1000")
        orphans = f.marked_processes()
        f.kill()
        os.unlink(os.path.join(f.state, "fairway.db"))
        f.start()
        wait_for(lambda: not set(orphans) & set(f.marked_processes()), "the orphans have ended")
    finally:
        f.__exit__(None, None, None)


def test_nothing_acknowledged_is_lost_by_kill():
    """kill -9 of `fairway up` at random moments of apply, scale and delete; FAIRWAY_KILLS rounds (5)."""
    rounds = int(os.environ.get("FAIRWAY_KILLS", "5"))
    chance = random.Random(int(os.environ.get("FAIRWAY_SEED", "1")))
    wanted = {}  # name -> replicas, as acknowledged
    f = Fairway("--quiet").start()

    def change():
        """One random change; remembered when it was acknowledged, and both outcomes allowed when it was not."""
        name = chance.choice("abc")
        before = wanted.get(name)
        kind = chance.choice(["apply", "scale", "delete"])
        replicas = chance.randint(0, 2)
        if kind == "apply":
            done, after = f.apply(model_manifest(name, replicas=replicas, profile="decode=1000"), check=False), replicas
        elif kind == "scale":
            done = f.cli("scale", name, "--replicas", str(replicas), check=False)
            after = replicas if before is not None else None
        else:
            done, after = f.cli("delete", name, check=False), None
        if done.returncode == 0:
            wanted[name] = after
        elif done.returncode != 3:  # 3: there is no such model, so nothing changed
            # Only the kill can cut a right change off; the client sees it before the process can be waited for.
            f.process.wait(30)
            unsure[name] = {before, after}

    try:
        for _ in range(rounds):
            unsure = {}
            timer = threading.Timer(chance.uniform(0.01, 0.6), f.process.kill)
            timer.start()
            while f.process.poll() is None:
                change()
            timer.join()
            alive = {r: 1 for r in f.marked_processes()}
            f.start()
            stored = {m["metadata"]["name"]: m["spec"].get("replicas", 1) for m in f.get("models")["items"]}
            for name in "abc":
                assert stored.get(name) in unsure.get(name, {wanted.get(name)}), (name, stored, wanted, unsure)
                wanted[name] = stored.get(name)
            for name, replicas in wanted.items():
                if replicas is not None:
                    f.ready(name, replicas)
            wait_for(lambda: len(f.marked_processes()) == sum(r or 0 for r in wanted.values()), "no orphan is left")
            kept = set(alive) & set(f.marked_processes())
            print(f"{len(alive)} engines alive, {len(kept)} kept, wanted {wanted}")
    finally:
        f.__exit__(None, None, None)


def test_a_cordoned_node_takes_no_new_replicas(fairway):
    (node,) = fairway.get("nodes")["items"]
    name = node["metadata"]["name"]
    fairway.serve("sim", profile="decode=1000")

    def cordon(value):
        return fairway.apply({"apiVersion": "fairway.dev/v1", "kind": "Node", "metadata": {"name": name}, "spec": {"cordon": value}})

    assert f"nodes/{name} created" in cordon(True).stdout
    fairway.cli("scale", "sim", "--replicas", "3")
    assert "cordon" in fairway.get("model", "sim")["status"]["conditions"][0]["message"]
    assert len(fairway.marked_processes()) == 1
    assert fairway.get("node", name)["spec"]["cordon"] is True
    assert f"nodes/{name} changed" in cordon(False).stdout
    fairway.ready("sim", 3)
    limited = {"apiVersion": "fairway.dev/v1", "kind": "Node", "metadata": {"name": name}, "spec": {"memory": "64Mi"}}
    fairway.apply(limited)
    big = model_manifest("big", profile="decode=1000")
    big["spec"]["resources"] = {"memory": "65Mi"}
    fairway.apply(big)
    assert "total 0.06 GiB" in fairway.get("model", "big")["status"]["conditions"][0]["message"]
    limited["spec"] = {"cpu": "3"}
    fairway.apply(limited)
    big["metadata"]["name"], big["spec"]["resources"] = "busy", {"cpu": "4"}
    fairway.apply(big)
    assert "it lacks 1 processors" in fairway.get("model", "busy")["status"]["conditions"][0]["message"]
    assert "there is no node" in fairway.apply({"apiVersion": "fairway.dev/v1", "kind": "Node",
                                                "metadata": {"name": "elsewhere"}, "spec": {}}, check=False).stderr


def test_a_stuck_loop_is_reported_with_its_backtrace(fairway):
    """Somebody else holds the database: the controller's loop waits for it, and the log says where."""
    database = sqlite3.connect(os.path.join(fairway.state, "fairway.db"), isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    create = threading.Thread(target=lambda: fairway.cli("key", "create", "x", check=False))
    create.start()
    wait_for(lambda: "a loop is stuck" in fairway.log_text(), "the watchdog has barked")
    database.execute("ROLLBACK")
    create.join(60)
    (line,) = [line for line in fairway.log_text().splitlines() if "a loop is stuck" in line]
    assert "loop=controller" in line and "keys_create" in line
    assert [k["name"] for k in json.loads(fairway.cli("key", "list", "-o", "json").stdout)["items"]] in (["x"], [])

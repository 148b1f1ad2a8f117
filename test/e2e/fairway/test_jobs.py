# SPDX-License-Identifier: Apache-2.0
"""Jobs and models share the GPUs of one machine (made-up ones): gangs, quotas, eviction, restarts, and why something waits."""
import json
import os
import pathlib
import sys
import threading
import time

import pytest
import requests

from fairway_process import Fairway, metric, model_manifest, wait_for
from test_restart import replace

# A member that works until FOLDER/finish is there. Told to end it keeps how far it came, and goes on from there.
TRAINER = """
import json, os, pathlib, signal, sys, time
folder, rank, attempt = pathlib.Path(sys.argv[1]), os.environ["RANK"], os.environ["FAIRWAY_ATTEMPT"]
kept, told = folder / f"step-{rank}", []
step = int(kept.read_text()) if kept.exists() else 0
for number in (signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda number, frame: told.append(number))
(folder / f"began-{rank}-{attempt}.part").write_text(json.dumps({"step": step, "env": dict(os.environ)}))
os.rename(folder / f"began-{rank}-{attempt}.part", folder / f"began-{rank}-{attempt}")
while not (folder / "finish").exists():
    step += 1
    time.sleep(0.02)
    if told:
        kept.write_text(str(step))
        (folder / f"told-{rank}-{attempt}").write_text(str(told[0]))
        sys.exit(0)
print("done", flush=True)
"""


def job(name, command, **spec):
    return {"apiVersion": "fairway.dev/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"command": command, **spec}}


def shell(name, script, **spec):
    return job(name, ["sh", "-c", script], **spec)


def trainer(name, folder, **spec):
    return job(name, [sys.executable, "-c", TRAINER, str(folder)], **spec)


def tenant(name, **quota):
    return {"apiVersion": "fairway.dev/v1", "kind": "Tenant", "metadata": {"name": name}, "spec": {"gpuQuota": quota}}


def sim(name, replicas=1, gpus=1, **spec):
    return model_manifest(name, replicas=replicas, profile="decode=1000,answer=5", resources={"gpus": gpus}, **spec)


def status(f, name):
    return f.get("job", name)["status"]


def phase(f, name, wanted, seconds=60):
    wait_for(lambda: status(f, name)["phase"] == wanted, f"{name} is {wanted}", seconds)
    return status(f, name)


def began(folder, rank, attempt):
    path = folder / f"began-{rank}-{attempt}"
    wait_for(path.exists, f"rank {rank} has begun attempt {attempt}")
    return json.loads(path.read_text())


def devices(env):
    return [d for d in env["CUDA_VISIBLE_DEVICES"].split(",") if d]


@pytest.fixture
def eight():
    with Fairway("--quiet", "--gpus", "8xH100-80G") as f:
        yield f


class Watch(threading.Thread):
    """Looks at the processes themselves, all the time: no GPU may be in the environment of two of them."""

    def __init__(self, f):
        super().__init__()
        self.f, self.over, self.looks, self.most, self.ended = f, [], 0, 0, threading.Event()

    def look(self):
        users = {}  # of a device: marks
        for pid in self.f.marked_processes():
            try:
                raw = pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            env = dict(part.split("=", 1) for part in reversed(raw) if "=" in part)
            for device in devices(env) if "CUDA_VISIBLE_DEVICES" in env else []:
                users.setdefault(device, set()).add(env["FAIRWAY_REPLICA"])
        self.over += [(device, marks) for device, marks in users.items() if len(marks) > 1]
        self.most = max(self.most, len(users))
        self.looks += 1

    def run(self):
        while not self.ended.wait(0.01):
            self.look()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()


def test_members_know_their_place(eight, tmp_path):
    """All start together, each with GPUs of its own, and the job has succeeded when all have."""
    eight.apply(trainer("train", tmp_path, members=3, resources={"gpus": 2}, env={"LEARNING_RATE": "0.1"},
                        workingDirectory=str(tmp_path)))
    envs = [began(tmp_path, rank, 1)["env"] for rank in range(3)]
    assert [e["RANK"] for e in envs] == ["0", "1", "2"] and {e["WORLD_SIZE"] for e in envs} == {"3"}
    assert {e["MASTER_ADDR"] for e in envs} == {"127.0.0.1"} and len({e["MASTER_PORT"] for e in envs}) == 1
    assert {e["LEARNING_RATE"] for e in envs} == {"0.1"} and {e["PWD"] for e in envs if "PWD" in e} <= {os.getcwd(), str(tmp_path)}
    given = [devices(e) for e in envs]
    assert [len(g) for g in given] == [2, 2, 2] and len({d for g in given for d in g}) == 6
    assert phase(eight, "train", "Running")["attempts"] == 1
    shown = json.loads(eight.cli("gpus", "-o", "json").stdout)["items"]
    assert {d["uuid"]: d["users"] for d in shown if d["users"]} == {
        d: [{"name": "job/train", "member": rank, "share": 1000}] for rank, g in enumerate(given) for d in g}
    assert "job/train #2" in eight.cli("gpus").stdout
    (tmp_path / "finish").touch()
    done = phase(eight, "train", "Succeeded")
    assert [m["exitCode"] for m in done["members"]] == [0, 0, 0] and done["reason"] == "Completed"
    assert eight.cli("logs", "job/train", "--rank", "2").stdout == "done\n"
    assert not any(d["users"] for d in json.loads(eight.cli("gpus", "-o", "json").stdout)["items"])


def test_a_member_that_fails_ends_the_others(fairway, tmp_path):
    """It starts again as often as it may, not at once, and has failed then."""
    fairway.apply(trainer("never", tmp_path, members=2, env={"RANK_FAILS": "1"}, restart={"policy": "never"}))
    began(tmp_path, 0, 1), began(tmp_path, 1, 1)
    victim = next(m["pid"] for m in status(fairway, "never")["members"] if m["rank"] == 1)
    child = int(pathlib.Path(f"/proc/{victim}/task/{victim}/children").read_text())
    os.kill(child, 9)
    failed = phase(fairway, "never", "Failed")
    assert (tmp_path / "told-0-1").read_text() == "15"
    assert failed["reason"] == "MemberFailed" and [m["exitCode"] for m in failed["members"]] == [0, 128 + 9]
    assert "member 1: killed by signal 9 (Killed)" in failed["message"]
    fairway.apply(shell("again", f"echo x >>{tmp_path}/tries; exit 3", restart={"limit": 1}))
    failed = phase(fairway, "again", "Failed")
    assert failed["attempts"] == 2 and failed["failures"] == 2 and (tmp_path / "tries").read_text() == "x\nx\n"
    assert "exit code 3" in failed["message"]
    fairway.apply(job("nothing", ["/does/not/exist"], restart={"policy": "never"}))
    assert phase(fairway, "nothing", "Failed")["members"][0]["exitCode"] == 127
    assert "cannot start /does/not/exist: No such file or directory" in fairway.cli("logs", "job/nothing").stdout


def test_models_and_a_gang_share_eight_gpus(eight, tmp_path):
    """Three models and a gang of four in two tenants with quotas. The model that grows gets what is its tenant's, the gang saves its
    work, waits, and goes on when there is room again. At no moment is a GPU used twice, and who waits can say why."""
    eight.apply(tenant("serving", gpus=6))
    eight.apply(tenant("research", gpus=2))
    with Watch(eight) as watch:
        for name in ("a", "b", "c"):
            eight.apply(sim(name, tenant="serving"))
            eight.ready(name)
        eight.apply(trainer("train", tmp_path, members=4, tenant="research", resources={"gpus": 1}))
        for rank in range(4):
            began(tmp_path, rank, 1)
        eight.cli("scale", "a", "--replicas", "3")  # 5 of 6, and 4 of the gang: one too many
        for rank in range(4):
            wait_for((tmp_path / f"told-{rank}-1").exists, f"rank {rank} was told to end")
        eight.ready("a", 3)
        waits = phase(eight, "train", "Pending")
        assert waits["evictions"] == 1 and waits["attempts"] == 1
        message = wait_for(lambda: "needs 4 GPUs" in status(eight, "train")["message"] and status(eight, "train")["message"],
                           "it is tried again", 40)
        assert message == ("it needs 4 GPUs, and tenant research has 2 of its own and uses 0; "
                           "1 is missing: all together have 8 and use 5")
        assert message in eight.cli("describe", "job", "train").stdout
        why = eight.cli("why", "job/train").stdout.splitlines()
        assert why == ["job        train", "phase      Pending (Evicted)", "attempts   1, evicted 1 times, failed 0 times",
                       f"why        {message}"]
        scrape = requests.get(eight.url + "/metrics").text
        assert metric(scrape, "fairway_evictions_total", kind="job", reason="reclaimed") == 1
        assert metric(scrape, "fairway_workloads", kind="job", state="pending") == 1
        assert metric(scrape, "fairway_workloads", kind="model", state="running") == 5
        assert scrape.count("fairway_gpu_given_ratio{") == 8 and scrape.count("fairway_gpu_given_ratio{uuid") == 8
        eight.cli("scale", "a", "--replicas", "1")
        resumed = [began(tmp_path, rank, 2) for rank in range(4)]
        assert all(r["step"] > 0 for r in resumed), "they go on from where they were"
        (tmp_path / "finish").touch()
        assert phase(eight, "train", "Succeeded")["attempts"] == 2
    assert watch.over == [] and watch.most >= 7 and watch.looks > 50, (watch.over, watch.most, watch.looks)


def test_why_a_model_waits(eight):
    """The reason is true: with what it names the model starts."""
    eight.apply(sim("big", gpus=6))
    eight.ready("big")
    eight.apply(sim("more", replicas=2, gpus=2))
    eight.ready("more", 1)
    waits = eight.get("model", "more")["status"]
    assert waits["phase"] == "Pending" and waits["readyReplicas"] == 1
    assert waits["conditions"][0]["message"] == \
        "it lacks 2 idle GPUs; model/more would have to leave; of those that run 2 are of no lower priority"
    assert "1 of 2 replicas ready\nwhy        it lacks 2 idle GPUs" in eight.cli("why", "model/more").stdout
    assert sorted(r["state"] for r in eight.replicas("more")) == ["pending", "ready"]
    eight.cli("scale", "big", "--replicas", "0")
    eight.ready("more", 2)
    eight.apply(model_manifest("t4", profile="decode=1000", resources={"gpus": 1, "gpuModels": ["T4"]}))
    told = wait_for(lambda: eight.get("model", "t4")["status"]["conditions"][0]["message"], "it says why")
    assert "no GPU of model T4" in told
    eight.apply(tenant("small", gpus=1, borrow=0))
    eight.apply(sim("capped", gpus=2, tenant="small"))
    told = wait_for(lambda: eight.get("model", "capped")["status"]["conditions"][0]["message"], "it says why")
    assert "it needs 2 GPUs, and tenant small has 1 of its own and uses 0; 1 is missing: it may not borrow more" in told
    eight.apply(tenant("small", gpus=1, borrow=1))
    eight.ready("capped")


def test_shares_of_a_gpu(eight):
    """Four quarters sit on one GPU; a whole one does not fit beside them."""
    eight.apply(model_manifest("quarters", replicas=4, profile="decode=1000", resources={"gpuShare": 250}))
    eight.ready("quarters", 4)
    eight.apply(sim("rest", replicas=7))
    eight.ready("rest", 7)
    users = [d["users"] for d in json.loads(eight.cli("gpus", "-o", "json").stdout)["items"]]
    assert sorted(len(u) for u in users) == [1] * 7 + [4]
    assert sorted(sum(x["share"] for x in u) for u in users) == [1000] * 8


def test_a_job_outlives_fairway(tmp_path):
    """Killed and started again, Fairway finds the members with their GPUs, and how those ended that did so meanwhile."""
    folders = [tmp_path / name for name in ("goes-on", "ends", "dies")]
    for folder in folders:
        folder.mkdir()
    with Fairway("--quiet", "--gpus", "4xH100-80G") as f:
        for folder in folders:
            f.apply(trainer(folder.name, folder, resources={"gpus": 1}, restart={"policy": "never"}))
            began(folder, 0, 1)
        pids = {folder.name: status(f, folder.name)["members"][0]["pid"] for folder in folders}
        f.kill()
        (folders[1] / "finish").touch()
        child = int(pathlib.Path(f"/proc/{pids['dies']}/task/{pids['dies']}/children").read_text())
        os.kill(child, 9)
        wait_for(lambda: not pathlib.Path(f"/proc/{pids['ends']}/cmdline").exists()
                 and not pathlib.Path(f"/proc/{pids['dies']}/cmdline").exists(), "two have ended")
        f.start()
        assert phase(f, "ends", "Succeeded")["members"][0]["exitCode"] == 0
        assert phase(f, "dies", "Failed")["members"][0]["exitCode"] == 137
        assert phase(f, "goes-on", "Running")["members"][0]["pid"] == pids["goes-on"]
        used = [d["users"] for d in json.loads(f.cli("gpus", "-o", "json").stdout)["items"] if d["users"]]
        assert used == [[{"name": "job/goes-on", "member": 0, "share": 1000}]]
        (folders[0] / "finish").touch()
        done = phase(f, "goes-on", "Succeeded")
        assert done["attempts"] == 1 and done["members"][0]["exitCode"] == 0


def test_a_stopped_fairway_goes_on_with_its_jobs(tmp_path):
    with Fairway("--quiet", "--gpus", "1xA10-24G") as f:
        f.apply(trainer("train", tmp_path, resources={"gpus": 1}, checkpoint={"signal": "USR1"}))
        began(tmp_path, 0, 1)
        f.stop()
        assert (tmp_path / "told-0-1").read_text() == "10" and f.marked_processes() == []
        f.start()
        assert began(tmp_path, 0, 2)["step"] > 0


def test_suspend_and_delete(fairway, tmp_path):
    wanted = trainer("train", tmp_path, members=2)
    fairway.apply(wanted)
    began(tmp_path, 1, 1)
    wanted["spec"]["suspend"] = True
    fairway.apply(wanted)
    phase(fairway, "train", "Suspended")
    assert (tmp_path / "told-1-1").exists() and fairway.marked_processes() == []
    wanted["spec"]["suspend"] = False
    fairway.apply(wanted)
    assert began(tmp_path, 1, 2)["step"] > 0
    fairway.cli("delete", "job", "train")
    wait_for(lambda: not fairway.marked_processes(), "its members have ended")
    assert fairway.get("jobs")["items"] == []
    fairway.apply(wanted)  # the name is free again
    began(tmp_path, 0, 1)


def test_who_does_not_end_is_killed(fairway, tmp_path):
    fairway.apply(shell("stays", f"trap '' TERM; touch {tmp_path}/began; while :; do sleep 0.1; done",
                        checkpoint={"grace": "1s"}))
    wait_for((tmp_path / "began").exists, "it has begun")
    before = time.monotonic()
    fairway.cli("delete", "job", "stays")
    wait_for(lambda: not fairway.marked_processes(), "it was killed")
    assert time.monotonic() - before >= 1, "not before the grace was over"


def test_a_name_is_used_again_while_its_last_job_ends(fairway, tmp_path):
    lingers = f"trap '' TERM; touch {tmp_path}/old; while :; do sleep 0.1; done"
    fairway.apply(shell("job", lingers, checkpoint={"grace": "1s"}))
    wait_for((tmp_path / "old").exists, "it has begun")
    fairway.cli("delete", "job", "job")
    fairway.apply(shell("job", f"touch {tmp_path}/new"))
    assert fairway.marked_processes(), "the old one is still there"
    done = phase(fairway, "job", "Succeeded")
    assert done["attempts"] == 1 and (tmp_path / "new").exists()


def test_a_run_has_a_longest_time(fairway):
    fairway.apply(shell("long", "exec sleep 1000", maxRuntime="1s"))
    assert phase(fairway, "long", "Failed")["reason"] == "TooLong"


def test_who_has_saved_its_work_makes_room(tmp_path):
    """Of two jobs the older would lose more, but for its checkpoint."""
    with Fairway("--quiet", "--gpus", "2xH100-80G") as f:
        folders = [tmp_path / "older", tmp_path / "newer"]
        envs = []
        for folder in folders:
            folder.mkdir()
            f.apply(trainer(folder.name, folder, resources={"gpus": 1}))
            envs.append(began(folder, 0, 1)["env"])
        pathlib.Path(envs[0]["FAIRWAY_CHECKPOINT"]).touch()
        f.serve("sim", profile="decode=1000,answer=5", resources={"gpus": 1})
        assert status(f, "older")["evictions"] == 1 and phase(f, "newer", "Running")["evictions"] == 0


def test_jobs_and_their_gpus_go_over_to_a_successor(eight, tmp_path):
    """`up --replace`: nothing is started anew, nothing is given twice, and the end of a job is known to whoever is there."""
    for name in ("ends", "goes-on"):
        (tmp_path / name).mkdir()
        eight.apply(trainer(name, tmp_path / name, members=2, resources={"gpus": 1}))
        began(tmp_path / name, 1, 1)
    eight.serve("sim", replicas=4, profile="decode=1000,answer=5", resources={"gpus": 1})

    def users():
        return {d["uuid"]: d["users"][0]["name"] for d in json.loads(eight.cli("gpus", "-o", "json").stdout)["items"]}

    before, pids = users(), {name: [m["pid"] for m in status(eight, name)["members"]] for name in ("ends", "goes-on")}
    assert sorted(before.values()) == ["job/ends"] * 2 + ["job/goes-on"] * 2 + ["model/sim"] * 4
    old = replace(eight)
    (tmp_path / "ends" / "finish").touch()
    assert old.wait(60) == 0
    assert [m["exitCode"] for m in phase(eight, "ends", "Succeeded")["members"]] == [0, 0]
    assert [m["pid"] for m in phase(eight, "goes-on", "Running")["members"]] == pids["goes-on"]
    eight.ready("sim", 4)
    eight.apply(trainer("late", tmp_path, members=2, resources={"gpus": 1}))
    began(tmp_path, 1, 1)
    after = users()
    assert {d: n for d, n in after.items() if n in ("job/goes-on", "model/sim")} == \
        {d: n for d, n in before.items() if n != "job/ends"}
    assert sorted(after.values()) == ["job/goes-on"] * 2 + ["job/late"] * 2 + ["model/sim"] * 4
    assert status(eight, "goes-on")["attempts"] == 1


def test_killed_again_and_again_it_runs_each_job_once(eight, tmp_path):
    """Fairway dies at any moment of starting, running and ending jobs: each runs to its end once, on GPUs of its own."""
    done, names = tmp_path / "done", []
    with Watch(eight) as watch:
        for round_ in range(8):
            for k in range(3):
                names.append(f"job-{round_}-{k}")
                eight.apply(shell(names[-1], f"sleep 0.{round_ + k}; echo {names[-1]} >>{done}", members=2, resources={"gpus": 1}))
            time.sleep(0.03 * round_)  # when it dies is no matter
            eight.kill()
            eight.start()
        for name in names:
            phase(eight, name, "Succeeded")
    assert watch.over == []
    assert sorted(done.read_text().split()) == sorted(names * 2)
    assert [p.name for p in pathlib.Path(eight.state, "run").iterdir() if p.name.endswith(".part")] == []

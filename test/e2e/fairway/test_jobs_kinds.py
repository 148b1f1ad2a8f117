# SPDX-License-Identifier: Apache-2.0
"""Jobs as resources: what is accepted, shown, refused and kept. They ask for more GPUs than there are, so that none of them starts."""
import contextlib
import http.client
import json
import os
import pathlib
import socket
import subprocess

import pytest

from fairway_process import BIN, wait_for


def job_manifest(name, **spec):
    whole = {"command": ["true"], "resources": {"gpus": 2}, **spec}
    return {"apiVersion": "fairway.dev/v1", "kind": "Job", "metadata": {"name": name}, "spec": whole}


def explain(field):
    return subprocess.run([BIN / "fairway", "explain", field], capture_output=True, text=True, check=True, timeout=60).stdout


def test_a_job_is_applied_shown_and_deleted(fairway):
    job = job_manifest("train", members=4, minMembers=2, tenant="team", priority=-5, checkpoint={"signal": "USR1"})
    assert "jobs/train created" in fairway.apply(job).stdout
    assert "jobs/train unchanged" in fairway.apply(job).stdout
    assert "jobs/other created" in fairway.apply(job_manifest("other", resources={"mig": "1g.10gb"})).stdout
    assert "jobs/third created" in fairway.apply(job_manifest("third", members=3, resources={"gpuShare": 500})).stdout
    stored = fairway.get("job", "train")
    assert stored["spec"]["checkpoint"] == {"signal": "USR1", "grace": "30s"} and stored["spec"]["preemptible"]
    assert stored["status"]["phase"] == "Pending" and stored["metadata"]["generation"] == 1
    table = [line.split() for line in fairway.cli("get", "jobs").stdout.splitlines()]
    assert table[0] == ["NAME", "PHASE", "MEMBERS", "GPUS", "TENANT", "PRIORITY", "AGE", "REASON"]
    assert table[1][:6] == ["other", "Pending", "1", "1", "x", "1g.10gb"]
    assert table[2][:4] == ["third", "Pending", "3", "1.5"]
    assert table[3][:6] == ["train", "Pending", "4", "8", "team", "-5"]
    assert [j["metadata"]["name"] for j in fairway.get("jobs")["items"]] == ["other", "third", "train"]
    for words in (["job", "train"], ["job/train"]):
        described = fairway.cli("describe", *words).stdout
        assert "kind: Job" in described and "Members:\n  none" in described and "Created      generation 1" in described
    assert fairway.cli("logs", "job/train", "--rank", "3").stdout == ""
    assert "job/train deleted" in fairway.cli("delete", "job", "train").stdout
    assert "job/other deleted" in fairway.cli("delete", "job/other").stdout
    assert fairway.cli("get", "job", "train", check=False).returncode == 3
    assert [j["metadata"]["name"] for j in fairway.get("jobs")["items"]] == ["third"]
    fairway.stop()
    fairway.start()
    assert [j["metadata"]["name"] for j in fairway.get("jobs")["items"]] == ["third"]


def test_only_suspend_of_a_job_can_be_changed(fairway):
    fairway.apply(job_manifest("train"))
    refused = fairway.apply(job_manifest("train", members=2), check=False)
    assert refused.returncode == 1
    assert "spec.members: of a Job that is there only spec.suspend can be changed; delete job 'train' first" in refused.stderr
    assert fairway.get("job", "train")["spec"]["members"] == 1
    assert "jobs/train changed" in fairway.apply(job_manifest("train", suspend=True)).stdout
    stored = fairway.get("job", "train")
    assert stored["spec"]["suspend"] and stored["metadata"]["generation"] == 2
    assert "jobs/train unchanged" in fairway.apply(stored).stdout, "what get printed can be applied again"
    fairway.cli("delete", "job", "train")
    assert "jobs/train created" in fairway.apply(job_manifest("train", members=2)).stdout


@pytest.mark.parametrize("spec, said", [
    ({"command": []}, "spec.command: must have at least 1 items"),
    ({"members": 2, "minMembers": 3}, "spec.minMembers: cannot be more than members (2)"),
    ({"resources": {"gpus": 1, "gpuShare": 5}}, "spec.resources.gpuShare: cannot go together with gpus; choose one"),
    ({"resources": {"cpu": 1, "gpuModels": ["H100-80G"]}}, "spec.resources.gpuModels: is of no use without a GPU"),
    ({"prio": 1}, 'spec.prio: unknown field'),
])
def test_a_job_that_makes_no_sense_is_refused(fairway, spec, said):
    refused = fairway.apply(job_manifest("train", **spec), check=False)
    assert refused.returncode == 1 and said in refused.stderr
    assert fairway.get("jobs")["items"] == []


def test_words_that_name_no_job(fairway):
    fairway.apply(job_manifest("train", members=2))
    for arguments, code, said in (
            (["describe", "job", "none"], 3, "Job none: not found"),
            (["delete", "job", "none"], 3, "Job none: not found"),
            (["delete", "tenant", "job/train"], 3, "has nothing at DELETE"),
            (["delete", "node/train"], 2, "this is for a model or job or tenant, not a node"),
            (["scale", "job/train", "--replicas", "2"], 2, "this is for a model, not a job"),
            (["logs", "job/none"], 3, "Job none: not found"),
            (["logs", "job/train", "--rank", "2"], 3, "job 'train' has no such rank; it has 0 to 1"),
            (["logs", "job/train", "--replica", "1"], 2, "--rank of a job"),
            (["logs", "train"], 3, "model 'train' has no such replica")):
        done = fairway.cli(*arguments, check=False)
        assert done.returncode == code and said in done.stdout + done.stderr, (arguments, done)


def test_a_tenant_of_the_same_name_is_not_the_model(fairway):
    """KIND/NAME is of that kind in every verb."""
    fairway.serve("team", profile="decode=1000,answer=5")
    fairway.apply({"apiVersion": "fairway.dev/v1", "kind": "Tenant", "metadata": {"name": "team"},
                   "spec": {"gpuQuota": {"gpus": 4, "borrow": 0, "lend": "500m"}}})
    assert fairway.get("tenant", "team")["spec"]["gpuQuota"] == {"gpus": 4, "borrow": 0, "lend": "500m"}
    assert "tenant/team deleted" in fairway.cli("delete", "tenant/team").stdout
    assert fairway.get("model", "team")["spec"]["priority"] == 100
    assert "model/team deleted" in fairway.cli("delete", "model/team").stdout


def test_events_say_of_what_kind(fairway):
    fairway.serve("same", profile="decode=1000,answer=5")
    fairway.apply(job_manifest("same"))
    fairway.cli("delete", "job", "same")
    kinds = {e["kind"] for e in fairway.get("events")["items"]}
    assert kinds == {"Model", "Job"}
    rows = fairway.cli("get", "events").stdout
    assert "model/same" in rows and "job/same" in rows
    assert "its members end" not in fairway.cli("describe", "same").stdout


def test_what_get_printed_of_a_model_can_be_applied_again(fairway):
    fairway.serve("sim", profile="decode=1000,answer=5")
    assert "models/sim unchanged" in fairway.apply(fairway.get("model", "sim")).stdout


def admin(fairway, method, path, body=None):
    """The status of one call of the admin API, and its answer."""
    connection = http.client.HTTPConnection("fairway", timeout=60)
    connection.sock = socket.socket(socket.AF_UNIX)
    with contextlib.closing(connection):
        connection.sock.connect(f"{fairway.state}/admin.sock")
        connection.request(method, path, json.dumps(body) if body else None)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


@pytest.mark.parametrize("method, path, status", [
    ("GET", "pods", 404), ("GET", "pods/x", 404), ("GET", "jobs/train/scale", 404), ("GET", "jobs/train/more/words", 404),
    ("PUT", "jobs", 404), ("PUT", "jobs/train/scale", 404), ("PUT", "models/none/scale", 404), ("PUT", "jobs/other", 400),
    ("PUT", "models/train", 400), ("DELETE", "jobs", 404), ("DELETE", "nodes/x", 404), ("DELETE", "models/train/scale", 404),
    ("GET", "jobs/train", 200), ("GET", "jobs/", 200), ("PUT", "jobs/train", 200),
])
def test_urls_of_resources(fairway, method, path, status):
    fairway.apply(job_manifest("train"))
    body = {"replicas": 1} if path.endswith("scale") else job_manifest("train") if method == "PUT" else None
    got, text = admin(fairway, method, "/apis/fairway.dev/v1/" + path, body)
    assert got == status and text, text
    assert len(fairway.get("jobs")["items"]) == 1


def test_logs_of_a_member(fairway):
    fairway.apply(job_manifest("train", members=2))
    log = pathlib.Path(fairway.state, "log", "job.train-1.log")
    log.write_text("one\ntwo\n")
    assert fairway.cli("logs", "job", "train", "--rank", "1", "--lines", "1").stdout == "two\n"
    assert fairway.cli("logs", "job/train").stdout == ""


def test_a_log_is_followed_before_it_is_there(fairway, tmp_path):
    fairway.apply(job_manifest("train"))
    read = tmp_path / "read"
    with read.open("w") as out:
        follower = subprocess.Popen([BIN / "fairway", "logs", "job/train", "--follow", "--state", fairway.state], stdout=out)
    try:
        pathlib.Path(fairway.state, "log", "job.train-0.log").write_text("it runs\n")
        wait_for(lambda: read.read_text() == "it runs\n", "the follower has read the log")
    finally:
        follower.terminate()
        follower.wait()


def test_explain_and_completion(fairway):
    assert "one of TERM, INT, USR1, USR2; default TERM" in explain("job.spec.checkpoint.signal")
    assert "gpuShare" in explain("job.spec.resources") and "left out: no limit" in explain("tenant.spec.gpuQuota.borrow").lower()
    fairway.apply(job_manifest("train"))
    script = ('source <(fairway completion bash); COMP_WORDS=(fairway describe jo); COMP_CWORD=2; _fairway; '
              'echo "${COMPREPLY[@]}"')
    env = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "FAIRWAY_STATE": fairway.state}
    done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, timeout=60)
    assert done.stdout == "job/train\n" and done.stderr == ""

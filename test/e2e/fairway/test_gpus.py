# SPDX-License-Identifier: Apache-2.0
"""The GPUs of a node: made-up ones, and those that a double of NVIDIA's library tells of."""
import contextlib
import json
import os
import pathlib
import pty
import re
import subprocess

import pytest
import requests

from fairway_process import BIN, Fairway, metric, model_manifest, wait_for

GIB = 1 << 30


class Double:
    """What the double of the library says, from now on."""

    def __init__(self, folder):
        self.path = folder / "nvml"
        self.values = {}
        self.env = {"FAIRWAY_NVML": str(BIN.parent / "test/libnvml_double.so"), "NVML_DOUBLE_STATE": str(self.path)}

    def say(self, **values):
        self.values |= values
        new = self.path.with_suffix(".new")
        new.write_text("".join(f"{key}={value}\n" for key, value in self.values.items()))
        os.replace(new, self.path)


@pytest.fixture
def double(tmp_path):
    d = Double(tmp_path)
    for i in range(2):
        d.say(**{f"{i}.uuid": f"GPU-{i}", f"{i}.name": "NVIDIA H100 80GB HBM3", f"{i}.memory": 80 * GIB,
                 f"{i}.used": 20 * GIB, f"{i}.temperature": 40 + i, f"{i}.power": 350500, f"{i}.utilisation": 90})
    d.say(count=2)
    return d


def status(fairway):
    return fairway.get("nodes")["items"][0]["status"]


def gpus(fairway):
    return status(fairway)["gpus"]


def metrics(fairway):
    return requests.get(fairway.url + "/metrics").text


def columns(line):
    return re.split(r" {2,}", line.strip())


def on_a_terminal(fairway, *arguments, locale):
    ours, theirs = pty.openpty()
    subprocess.run([BIN / "fairway", *arguments, "--state", fairway.state], stdout=theirs, check=True, timeout=60,
                   env=os.environ | {"LC_ALL": locale})
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # so a terminal ends that nobody holds any more
        while True:
            shown += os.read(ours, 65536)
    os.close(ours)
    return shown.decode().splitlines()


def test_made_up_gpus():
    with Fairway("--quiet", "--gpus", "2xH100-80G,1xA10-24G,1xH100-80G") as f:
        assert status(f)["gpuState"] == "simulated"
        first = gpus(f)[0]
        assert set(first) == {"index", "uuid", "model", "memory", "health", "users"}  # no reading is made up
        assert [g["model"] for g in gpus(f)] == ["H100-80G", "H100-80G", "A10-24G", "H100-80G"]
        heading, row = f.cli("get", "nodes").stdout.splitlines()
        assert dict(zip(columns(heading), columns(row)))["GPUS"] == "3 x H100-80G, 1 x A10-24G"
        assert json.loads(f.cli("gpus", "-o", "json").stdout) == {"state": "simulated", "items": gpus(f)}
        assert [columns(line)[:3] for line in f.cli("gpus").stdout.splitlines()[3:]] == [
            ["2", "A10-24G", "-"], ["3", "H100-80G", "-"]]
        text = metrics(f)
        assert metric(text, "fairway_gpu_healthy", gpu="0", uuid=first["uuid"]) == 1
        assert metric(text, "fairway_gpu_memory_bytes", gpu="0", uuid=first["uuid"]) == first["memory"]
        assert "fairway_gpu_memory_used_bytes{" not in text


def test_a_wrong_list_of_gpus(tmp_path):
    done = subprocess.run([BIN / "fairway", "up", "--state", tmp_path, "--gpus", "2xH100-80G,1xMYCARD"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and '--gpus: "1xMYCARD"' in done.stderr


def test_no_library(tmp_path):
    with Fairway("--quiet", env={"FAIRWAY_NVML": str(tmp_path / "none.so")}) as f:
        wait_for(lambda: status(f)["gpuState"].startswith("no NVML library: "), "the state is known")
        assert gpus(f) == []
        heading, row = f.cli("get", "nodes").stdout.splitlines()
        assert dict(zip(columns(heading), columns(row)))["GPUS"] == "-"
        assert "no NVML library" in f.cli("gpus").stderr


def test_a_gpu_falls_ill(double):
    with Fairway("--quiet", env=double.env) as f:
        wait_for(lambda: status(f)["gpuState"] == "ready", "the GPUs are known")
        assert gpus(f)[0] == {"index": 0, "uuid": "GPU-0", "model": "H100-80G", "memory": 80 * GIB, "health": "ok",
                              "users": [], "memoryUsed": 20 * GIB, "utilisation": 90, "temperature": 40, "power": 350.5}
        assert columns(f.cli("gpus").stdout.splitlines()[1]) == [
            "0", "H100-80G", "#####...............", "20.0 / 80.0 GiB", "90 %", "40 C", "350 W", "ok", "-"]
        text = metrics(f)
        labels = {"gpu": "1", "uuid": "GPU-1"}
        assert metric(text, "fairway_gpu_memory_used_bytes", **labels) == 20 * GIB
        assert metric(text, "fairway_gpu_utilisation_ratio", **labels) == 0.9
        assert metric(text, "fairway_gpu_temperature_celsius", **labels) == 41
        assert metric(text, "fairway_gpu_power_watts", **labels) == 350.5

        double.say(**{"0.temperature": 77, "1.temperature.error": 3, "events": "1:79"})
        wait_for(lambda: gpus(f)[1]["health"] == "faulty" and gpus(f)[0]["temperature"] == 77, "the change is seen")
        assert "79" in gpus(f)[1]["reason"] and "temperature" not in gpus(f)[1] and gpus(f)[0]["health"] == "ok"
        assert f"faulty: {gpus(f)[1]['reason']}" in f.cli("gpus").stdout
        text = metrics(f)
        assert metric(text, "fairway_gpu_healthy", **labels) == 0
        assert metric(text, "fairway_gpu_healthy", gpu="0", uuid="GPU-0") == 1
        assert 'fairway_gpu_temperature_celsius{gpu="1"' not in text
        assert re.search(r"a GPU is faulty.*gpu=1.*uuid=GPU-1", f.log_text())


def test_bars_on_a_terminal(double):
    double.say(**{"1.used": 21 * GIB})
    with Fairway("--quiet", env=double.env) as f:
        wait_for(lambda: len(gpus(f)) == 2, "the GPUs are known")
        lines = on_a_terminal(f, "gpus", locale="C.UTF-8")
        assert [columns(line)[2] for line in lines[1:]] == ["█████" + "░" * 15, "█████▎" + "░" * 14]
        assert {line.index("GiB") for line in lines[1:]} == {lines[0].index("USED") + len("20.0 / 80.0 ")}
        assert "#####..............." in on_a_terminal(f, "gpus", locale="C")[1]


def test_a_gpu_whose_name_is_known_later(double):
    double.say(**{"1.uuid.error": 999})
    with Fairway("--quiet", env=double.env) as f:
        wait_for(lambda: len(gpus(f)) == 2, "the GPUs are known")
        assert gpus(f)[1]["health"] == "faulty" and "uuid" not in gpus(f)[1]
        assert 'fairway_gpu_healthy{gpu="1",uuid=""} 0' in metrics(f)
        double.say(**{"1.uuid.error": 0})
        wait_for(lambda: gpus(f)[1]["health"] == "ok", "its name is known")
        assert 'gpu="1",uuid=""' not in metrics(f)
        assert 'fairway_gpu_healthy{gpu="1",uuid="GPU-1"} 1' in metrics(f)


def test_a_driver_that_comes_later(double):
    double.say(init=9)
    with Fairway("--quiet", env=double.env) as f:
        wait_for(lambda: status(f)["gpuState"].startswith("driver does not answer: "), "the driver is missed")
        double.say(init=0)
        wait_for(lambda: len(gpus(f)) == 2, "the driver is found")
        assert status(f)["gpuState"] == "ready"


def test_a_driver_that_hangs_holds_up_nothing(double):
    double.say(hang=1)
    with Fairway("--quiet", env=double.env) as f:
        f.serve("sim", profile="decode=1000,answer=0")
        assert status(f)["gpuState"] == "not read yet" and gpus(f) == []
        f.stop()  # it still hangs


def test_who_sits_on_an_ill_gpu_moves(double):
    """A new replica starts on the other GPU, and the one on the ill GPU is drained."""
    with Fairway("--quiet", env=double.env) as f:
        wait_for(lambda: status(f)["gpuState"] == "ready", "the GPUs are known")
        f.serve("sim", profile="decode=1000,answer=5", resources={"gpus": 1})
        ill = next(g["index"] for g in gpus(f) if g["users"])
        double.say(events=f"{ill}:79")
        wait_for(lambda: gpus(f)[1 - ill]["users"] == [{"name": "model/sim", "member": 0, "share": 1000}], "it has moved")
        f.ready("sim", 1)
        pid = f.replicas("sim")[0]["pid"]
        environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        assert f"CUDA_VISIBLE_DEVICES=GPU-{1 - ill}".encode() in environment
        assert "its GPU is not well" in f.cli("describe", "sim").stdout
        f.cli("scale", "sim", "--replicas", "2")
        lacks = wait_for(lambda: f.get("model", "sim")["status"]["conditions"][0]["message"], "the second one waits")
        assert lacks == "it lacks 1 idle GPU; model/sim would have to leave; of those that run 1 is of no lower priority"


def share(name, replicas):
    return model_manifest(name, replicas=replicas, profile="decode=1000,answer=5", resources={"gpuShare": 500})


def test_who_should_move():
    """Two GPUs are half full each, and a model waits for a whole one: the proposal says who should move, and the reason is true."""
    with Fairway("--quiet", "--gpus", "2xH100-80G") as f:
        assert "no move would gain" in f.cli("gpus", "--proposals").stderr
        for name in ("a", "b"):
            f.apply(share(name, 2))
            f.ready(name, 2)
        for name in ("a", "b"):
            f.cli("scale", name, "--replicas", "1")
        wait_for(lambda: [[u["share"] for u in g["users"]] for g in gpus(f)] == [[500], [500]], "both are half full")
        f.apply(model_manifest("whole", profile="decode=1000,answer=5", resources={"gpus": 1}))
        found = wait_for(lambda: json.loads(f.cli("gpus", "--proposals", "-o", "json").stdout)["items"], "there is a proposal")
        (move,), starts = found[0]["moves"], found[0]["starts"]
        index, = move["from"]
        (user,) = gpus(f)[index]["users"]
        assert user["name"] == move["name"] and move["to"] == [1 - index] and starts == {"name": "model/whole", "gpus": [index]}
        assert move["replica"] in [r["id"] for r in f.replicas(move["name"].removeprefix("model/"))]
        assert found[0]["gain"] == 1 and 0 < found[0]["cost"] < 60
        line = f.cli("gpus", "--proposals").stdout
        assert line == (f"{move['name']} replica {move['replica']}: GPU {index} -> GPU {1 - index} (start new, then drain); "
                        f"frees GPU {index} for model/whole; gain 1 GPU, cost {found[0]['cost']:.0f} GPU-seconds\n")
        assert f.get("model", "whole")["status"]["readyReplicas"] == 0 and gpus(f)[index]["users"] == [user]  # nothing has moved
        stays = {"model/a": "b", "model/b": "a"}[move["name"]]
        f.cli("scale", move["name"].removeprefix("model/"), "--replicas", "0")  # as if it had
        f.ready("whole", 1)
        f.ready(stays, 1)

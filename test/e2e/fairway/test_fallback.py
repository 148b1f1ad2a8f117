# SPDX-License-Identifier: Apache-2.0
"""Names that stand for more than one model: chains of fallback, and aliases that models share by weight."""
import collections
import json
import threading

import openai
import pytest
import requests

from fairway_process import metric, model_manifest, wait_for

HELLO = [{"role": "user", "content": "hello"}]


def ask(fairway, model, stream=False, **rest):
    raw = fairway.client(**rest.pop("client", {})).chat.completions.with_raw_response.create(
        model=model, messages=HELLO, max_tokens=5, stream=stream, **rest)
    if stream:
        chunks = list(raw.parse())
        return raw.headers, chunks[0].model
    return raw.headers, raw.parse().model


def chain(*names):
    return {"traffic": {"fallback": list(names)}}


def test_a_model_without_a_replica_falls_back_along_its_chain(fairway):
    fairway.apply(model_manifest("first", replicas=0, profile="decode=200", **chain("unknown", "second", "third")))
    fairway.apply(model_manifest("second", replicas=0, profile="decode=200", **chain("first")))
    fairway.serve("third", profile="decode=200")
    for stream in (False, True):
        headers, model = ask(fairway, "first", stream)
        assert (headers["x-fairway-model"], model) == ("third", "third")
    headers, _ = ask(fairway, "third")
    assert "x-fairway-model" not in headers
    # Only the chain of the model that was asked for counts: that of `second` ends at `first`.
    with pytest.raises(openai.InternalServerError) as e:
        ask(fairway, "second")
    assert e.value.code == "no_capacity" and "'second'" in e.value.message

    record = json.loads(fairway.cli("top", "-o", "json").stdout)["requests"]
    fell = [r for r in record if r.get("askedModel") == "first"]
    assert len(fell) == 2 and all(r["model"] == "third" and r["status"] == 200 for r in fell)
    text = requests.get(fairway.url + "/metrics").text
    assert metric(text, "fairway_fallbacks_total", model_name="first") == 2
    assert metric(text, "fairway_fallbacks_total", model_name="second") == 3
    assert "asked for first" in fairway.cli("why", fell[0]["id"]).stdout


def test_a_full_queue_falls_back_and_a_missing_right_does_not(fairway):
    fairway.serve("small", slots=1, profile="decode=1,answer=0", queue={"maxLength": 1}, **chain("big"))
    fairway.serve("big", slots=8, profile="decode=200")
    fairway.apply({"apiVersion": "fairway.dev/v1", "kind": "Tenant", "metadata": {"name": "narrow"},
                   "spec": {"models": ["small"]}})
    narrow, wide = (fairway.cli("key", "create", "k-" + t, "--tenant", t).stdout.strip() for t in ("narrow", "wide"))
    stop = threading.Event()

    def hold():
        with fairway.client(wide).chat.completions.create(model="small", messages=HELLO, max_tokens=500, stream=True) as s:
            for _ in s:
                if stop.is_set():
                    return

    def small():
        return next(m for m in json.loads(fairway.cli("top", "-o", "json").stdout)["models"] if m["name"] == "small")

    holders = [threading.Thread(target=hold) for _ in range(2)]
    try:
        holders[0].start()
        wait_for(lambda: small()["running"] == 1, "one runs")
        holders[1].start()
        wait_for(lambda: small()["waiting"] == 1, "one waits")
        headers, model = ask(fairway, "small", client={"key": wide})
        assert (headers["x-fairway-model"], model) == ("big", "big")
        with pytest.raises(openai.RateLimitError) as e:
            ask(fairway, "small", client={"key": narrow})
        assert e.value.code == "queue_full"
    finally:
        stop.set()
        fairway.cli("delete", "model", "small")
        for h in holders:
            h.join(60)


def test_an_alias_is_shared_by_weight_and_sessions_stay(fairway):
    for name, weight in (("blue", 300), ("green", 100), ("red", 0)):
        fairway.serve(name, slots=64, profile="decode=2000", traffic={"aliases": ["colour"], "weight": weight})
    served = collections.Counter(ask(fairway, "colour")[1] for _ in range(200))
    assert set(served) == {"blue", "green"}
    assert abs(served["blue"] - 150) <= 31  # five standard deviations

    def of_session(i):
        return ask(fairway, "colour", extra_headers={"x-session-id": f"s{i}"})[1]

    first = {i: of_session(i) for i in range(20)}
    assert len(set(first.values())) == 2
    assert all(of_session(i) == model for i, model in first.items())
    # A new weight for one of them moves sessions to it, and none between the others.
    fairway.apply(model_manifest("red", slots=64, profile="decode=2000", traffic={"aliases": ["colour"], "weight": 400}))
    wait_for(lambda: any(ask(fairway, "colour")[1] == "red" for _ in range(20)), "red has a part")
    assert all(of_session(i) in (model, "red") for i, model in first.items())

    names = [m.id for m in fairway.client().models.list()]
    assert sorted(names) == ["blue", "colour", "green", "red"]

# SPDX-License-Identifier: Apache-2.0
"""Tenants and their keys, through the whole system."""
import json
import threading
import time

import openai
import pytest
import requests

from fairway_process import metric, wait_for

ASK = [{"role": "user", "content": "hello"}]


def tenant_manifest(name, **spec):
    return {"apiVersion": "fairway.dev/v1", "kind": "Tenant", "metadata": {"name": name}, "spec": spec}


def new_key(fairway, name, *options):
    return fairway.cli("key", "create", name, *options).stdout.strip()


def test_keys_of_a_tenant(fairway):
    first = new_key(fairway, "alice", "--tenant", "team")
    second = new_key(fairway, "bob", "--tenant", "team")
    brief = new_key(fairway, "guest", "--expires", "1s")
    for key in (first, second, brief):
        assert fairway.client(key).models.list().data == []
    listed = {k["name"]: k for k in json.loads(fairway.cli("key", "list", "-o", "json").stdout)["items"]}
    assert listed["alice"]["tenant"] == listed["bob"]["tenant"] == "team" and listed["guest"]["tenant"] == "guest"
    assert "expires" in listed["guest"] and "expires" not in listed["alice"]
    fairway.cli("key", "delete", "alice")
    with pytest.raises(openai.AuthenticationError):
        fairway.client(first).models.list()

    def expired():
        try:
            fairway.client(brief).models.list()
        except openai.AuthenticationError as error:
            return "expired" in error.message
    wait_for(expired, "the key of one second has expired")
    assert fairway.client(second).models.list().data == []


def test_tenants_are_resources(fairway):
    assert "tenants/team created" in fairway.apply(tenant_manifest("team", weight=2)).stdout
    assert "tenants/team unchanged" in fairway.apply(tenant_manifest("team", weight=2)).stdout
    assert fairway.get("tenant", "team")["spec"]["weight"] == 2
    table = fairway.cli("get", "tenants").stdout.splitlines()
    assert table[0].split() == ["NAME", "WEIGHT", "PRIORITY", "LIMITS", "AGE"] and table[1].split()[:2] == ["team", "2"]
    refused = fairway.apply(tenant_manifest("team", limits={"requestPerMinute": 5}), check=False)
    assert refused.returncode == 1 and "requestsPerMinute" in refused.stderr
    fairway.cli("delete", "tenant", "team")
    assert fairway.cli("get", "tenant", "team", check=False).returncode == 3


def usage(fairway, **filters):
    options = [word for name, value in filters.items() for word in (f"--{name}", value)]
    return json.loads(fairway.cli("usage", "-o", "json", *options).stdout)["items"]


def test_every_token_is_in_the_ledger(fairway):
    """Whole answers, streams that ask for usage and streams that do not, by tenant and model, with cost."""
    fairway.serve("tiny", price={"input": "1000", "output": "2000"}, traffic={"aliases": ["other-name"]})
    team, other = new_key(fairway, "alice", "--tenant", "team"), new_key(fairway, "other")
    client = fairway.client(team)
    whole = client.chat.completions.create(model="tiny", messages=ASK, max_tokens=7)
    asked = list(client.chat.completions.create(model="other-name", messages=ASK, max_tokens=9, stream=True,
                                                stream_options={"include_usage": True}))
    assert asked[-1].choices == [] and asked[-1].usage.completion_tokens == 9
    silent = list(client.chat.completions.create(model="tiny", messages=ASK, max_tokens=11, stream=True))
    assert all(c.choices and not c.usage for c in silent)
    mixed = list(client.completions.create(model="tiny", prompt="a", max_tokens=3, stream=True,
                                           stream_options={"include_usage": False}))
    assert all(c.choices for c in mixed)
    fairway.client(other).completions.create(model="tiny", prompt="a", max_tokens=2)
    prompt = whole.usage.prompt_tokens
    row = wait_for(lambda: next((r for r in usage(fairway, tenant="team") if r["requests"] == 4), None), "the ledger has them")
    assert row["model"] == "tiny" and row["outputTokens"] == 7 + 9 + 11 + 3
    assert row["inputTokens"] == 3 * prompt + fairway.client(team).completions.create(
        model="tiny", prompt="a", max_tokens=1).usage.prompt_tokens
    assert row["cost"] == pytest.approx((row["inputTokens"] * 1000 + row["outputTokens"] * 2000) / 1e6)
    wait_for(lambda: {r["tenant"] for r in usage(fairway, model="tiny")} == {"team", "other"}, "both are in the ledger")
    text = requests.get(fairway.url + "/metrics").text
    assert metric(text, "fairway_tokens_total", tenant="team", kind="output") == row["outputTokens"] + 1
    table = fairway.cli("usage").stdout.splitlines()
    assert table[0].split()[:4] == ["DAY", "TENANT", "MODEL", "REQUESTS"] and len(table) == 3
    fairway.stop()
    fairway.start()
    assert {r["tenant"]: r["requests"] for r in usage(fairway)} == {"team": 5, "other": 1}


def test_a_tenant_sees_only_its_models(fairway):
    fairway.serve("sim", profile="decode=1000,answer=5", traffic={"aliases": ["sim-alias"]})
    fairway.serve("secret", profile="decode=1000,answer=5")
    fairway.apply(tenant_manifest("team", models=["sim"]))
    client = fairway.client(new_key(fairway, "alice", "--tenant", "team"))
    assert {m.id for m in client.models.list()} == {"sim", "sim-alias"}
    assert client.chat.completions.create(model="sim-alias", messages=ASK).choices
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="secret", messages=ASK)
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("secret")
    fairway.apply(tenant_manifest("team"))
    assert client.chat.completions.create(model="secret", messages=ASK).choices


def ask(client, **options):
    return client.chat.completions.with_raw_response.create(model="sim", messages=ASK, **{"max_tokens": 5, **options})


def refused(client, **options):
    with pytest.raises(openai.RateLimitError) as caught:
        ask(client, **options)
    return caught.value


def serve_limited(fairway, **limits):
    fairway.serve("sim", slots=16, profile="decode=1000,answer=0", price={"input": "1000", "output": "1000"})
    fairway.apply(tenant_manifest("team", limits=limits))
    return fairway.client(new_key(fairway, "alice", "--tenant", "team"))


def test_requests_per_minute(fairway):
    client = serve_limited(fairway, requestsPerMinute=3)
    left = [ask(client).headers for _ in range(3)]
    assert [h["x-ratelimit-remaining-requests"] for h in left] == ["2", "1", "0"]
    assert {h["x-ratelimit-limit-requests"] for h in left} == {"3"} and "x-ratelimit-limit-tokens" not in left[0]
    error = refused(client)
    assert error.code == "rate_limit_exceeded" and "3 requests per minute" in error.message
    assert 1 <= int(error.response.headers["retry-after"]) <= 20  # a third of a minute brings one back
    assert error.response.headers["x-should-retry"] == "true"
    fairway.apply(tenant_manifest("team", limits={"requestsPerMinute": 30}))
    assert int(ask(client).headers["x-ratelimit-remaining-requests"]) > 20  # a new rule, at once
    other = fairway.client(new_key(fairway, "other"))
    assert "x-ratelimit-limit-requests" not in ask(other).headers


def test_tokens_are_settled_with_what_was_used(fairway):
    client = serve_limited(fairway, tokensPerMinute=10000)
    before = time.monotonic()
    used = ask(client, max_tokens=4000).parse().usage  # reserves 4,000 and more, uses them
    assert used.completion_tokens == 4000
    left = int(ask(client, max_tokens=1).headers["x-ratelimit-remaining-tokens"])
    drained = (time.monotonic() - before) * 10000 / 60
    assert 10000 - used.total_tokens - 200 < left < 10000 - 3900 + drained
    error = refused(client, max_tokens=9000)
    assert "10000 tokens per minute" in error.message and int(error.response.headers["retry-after"]) > 1
    too_big = refused(client, max_tokens=20000)
    assert "alone" in too_big.message and "retry-after" not in too_big.response.headers
    ask(client, max_tokens=10)


def test_requests_at_a_time(fairway):
    client = serve_limited(fairway, concurrency=2)
    streams = [client.chat.completions.create(model="sim", messages=ASK, max_tokens=3000, stream=True) for _ in range(2)]
    assert "2 requests at a time" in refused(client).message
    streams[0].close()
    wait_for(lambda: not isinstance(try_ask(client), openai.RateLimitError), "a place is free again")
    streams[1].close()


def try_ask(client, **options):
    try:
        return ask(client, **options)
    except openai.RateLimitError as error:
        return error


def test_a_budget_outlives_a_restart(fairway):
    client = serve_limited(fairway, budgetPerDay="0.05")  # 0.001 a token
    spent = 0
    while not isinstance(answer := try_ask(client, max_tokens=1), openai.RateLimitError):
        spent += answer.parse().usage.total_tokens
    assert answer.code == "insufficient_quota" and "budget per day" in answer.message
    assert 0 < spent <= 60
    fairway.stop()
    fairway.start()
    fairway.ready("sim")
    client.base_url = fairway.url + "/v1/"
    assert "budget per day" in refused(client, max_tokens=1).message
    assert usage(fairway, tenant="team")[0]["cost"] == pytest.approx(spent / 1000)


def test_a_flood_leaves_room_in_the_queue(fairway):
    """Without any limit a tenant cannot fill the queue so that others are refused."""
    fairway.serve("sim", slots=1, profile="decode=20,answer=0", queue={"maxLength": 16})
    greedy, modest = (fairway.client(new_key(fairway, name)) for name in ("greedy", "modest"))
    outcomes = []
    threads = [threading.Thread(target=lambda: outcomes.append(try_ask(greedy, max_tokens=10))) for _ in range(24)]
    for thread in threads:
        thread.start()
    wait_for(lambda: sum(isinstance(o, openai.RateLimitError) for o in outcomes) >= 9, "the flood is refused what is over")
    assert not isinstance(try_ask(modest, max_tokens=1), openai.RateLimitError)
    for thread in threads:
        thread.join(60)
    refusals = [o for o in outcomes if isinstance(o, openai.RateLimitError)]
    assert len(refusals) == 24 - 14 - 1 and {r.code for r in refusals} == {"queue_full"}  # an eighth is kept, one runs
    assert "kept for tenants" in refusals[0].message


def test_a_full_place_in_the_queue(fairway):
    """queueLength bounds what one tenant may have waiting; others go on."""
    fairway.serve("sim", slots=1, profile="decode=20,answer=0")
    fairway.apply(tenant_manifest("team", limits={"queueLength": 2}))
    team, other = (fairway.client(new_key(fairway, *words)) for words in (("alice", "--tenant", "team"), ("other",)))
    streams = []
    threads = [threading.Thread(target=lambda: streams.append(try_ask(team, max_tokens=40))) for _ in range(5)]
    for thread in threads:
        thread.start()
    answer = try_ask(other, max_tokens=1)
    assert not isinstance(answer, openai.RateLimitError)
    for thread in threads:
        thread.join(60)
    codes = [s.code for s in streams if isinstance(s, openai.RateLimitError)]
    assert codes == ["tenant_queue_full"] * 2 and len(streams) == 5


def test_why(fairway):
    fairway.serve("sim", slots=1, profile="decode=100,answer=0")
    client = fairway.client()
    stream = client.chat.completions.create(model="sim", messages=ASK, max_tokens=3000, stream=True)
    waiting = threading.Thread(target=lambda: ask(client, max_tokens=2))
    waiting.start()
    newest = wait_for(lambda: next((r for r in fairway_requests(fairway) if r["state"] == "waiting"), None), "one waits")
    why = fairway.cli("why", newest["id"]).stdout
    assert "waits      priority normal, 0 before it" in why
    stream.close()
    waiting.join(60)
    why = json.loads(fairway.cli("why", newest["id"], "-o", "json").stdout)
    assert why["state"] == "ended" and why["status"] == 200 and why["usage"]["outputTokens"] == 2
    assert [a["outcome"] for a in why["attempts"]] == ["answered"] and why["queue"]["tenantsWaiting"] == 1
    assert "2 generated" in fairway.cli("why", newest["id"]).stdout
    assert newest["id"] in fairway.cli("top").stdout
    assert fairway.cli("why", "req_none", check=False).returncode == 3


def fairway_requests(fairway):
    return json.loads(fairway.cli("top", "-o", "json").stdout)["requests"]

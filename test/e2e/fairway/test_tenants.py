# SPDX-License-Identifier: Apache-2.0
"""Tenants and their keys, through the whole system."""
import json

import openai
import pytest

from fairway_process import wait_for

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
    assert {r["tenant"] for r in wait_for(lambda: usage(fairway, model="tiny"), "rows")} == {"team", "other"}
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

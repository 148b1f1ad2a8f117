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

# SPDX-License-Identifier: Apache-2.0
"""A replica that hangs before its first byte: requests that the pool finds late are sent to a second one as well."""
import asyncio
import json
import os
import signal

import requests

from fairway_process import metric

# Nobody finds out that a replica hangs but the gateway.
NO_PROBES = {"probes": {"period": "10m"}}


async def ask(client, stream):
    options = {"stream_options": {"include_usage": True}} if stream else {}
    answer = await client.chat.completions.create(model="sim", stream=stream, max_tokens=8, temperature=0, **options,
                                                  messages=[{"role": "user", "content": "hello"}])
    if not stream:
        return answer.choices[0].message.content
    return "".join([c.delta.content or "" async for chunk in answer for c in chunk.choices])


def hang_under_load(fairway, hedge_percent):
    replicas = fairway.serve("sim", replicas=2, slots=64, profile="decode=200,answer=0",
                             traffic={"hedgePercent": hedge_percent, "policy": "least_load"}, **NO_PROBES)

    async def run():
        client = fairway.async_client()
        usual = {await ask(client, True) for _ in range(40)}
        os.kill(replicas[0]["pid"], signal.SIGSTOP)
        try:
            late = [asyncio.create_task(ask(client, i % 2 == 0)) for i in range(12)]
            done, pending = await asyncio.wait(late, timeout=20 if hedge_percent else 3)
        finally:
            os.kill(replicas[0]["pid"], signal.SIGCONT)
        texts = {await t for t in late}
        await client.close()
        return usual, texts, len(pending)

    return asyncio.run(run())


def test_late_requests_are_hedged(fairway):
    usual, texts, pending = hang_under_load(fairway, 100)
    assert pending == 0
    assert usual == texts and len(texts) == 1
    text = requests.get(fairway.url + "/metrics").text
    hedges, won = (metric(text, f"fairway_hedges{what}_total", model_name="sim") for what in ("", "_won"))
    assert 1 <= won <= hedges
    # The books of both replicas are even again: nothing runs.
    assert metric(text, "fairway_requests_running", model_name="sim") == 0
    shown = json.loads(fairway.cli("top", "-o", "json", "--lines", "60").stdout)["requests"]
    hedged = [r for r in shown if any(a.get("hedge") for a in r["attempts"])]
    assert len(hedged) == hedges
    winners = [r for r in hedged if r["attempts"][0]["outcome"] == "slower than the other"]
    assert len(winners) == won and all(r["attempts"][1]["outcome"] == "answered" for r in winners)
    assert "hedge" in fairway.cli("why", winners[0]["id"]).stdout


def test_without_a_budget_nothing_is_hedged(fairway):
    usual, texts, pending = hang_under_load(fairway, 0)
    assert pending > 0  # as long as the replica hangs; then they are answered after all
    assert usual == texts
    assert metric(requests.get(fairway.url + "/metrics").text, "fairway_hedges_total", model_name="sim") == 0

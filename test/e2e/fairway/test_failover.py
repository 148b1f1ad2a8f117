# SPDX-License-Identifier: Apache-2.0
"""A replica dies under load: what was not yet answered goes elsewhere, a stream goes on elsewhere from the next token, and one
that cannot (n > 1) gets one explicit error."""
import asyncio
import json
import os
import signal

import openai
import requests

from fairway_process import metric, wait_for

STREAMS = 60


class Tally:
    def __init__(self):
        self.first, self.whole, self.broken, self.other, self.texts = 0, 0, 0, [], set()


async def stream(client, tally, tokens, n=1):
    try:
        events = await client.chat.completions.create(model="sim", stream=True, max_tokens=tokens, temperature=0, n=n,
                                                      stream_options={"include_usage": True},
                                                      messages=[{"role": "user", "content": "hello"}])
        counted, text, ids = 0, "", set()
        async for chunk in events:
            tally.first += not ids
            ids.add((chunk.id, chunk.created))
            text += "".join(c.delta.content or "" for c in chunk.choices if c.index == 0)
            counted += chunk.usage.completion_tokens if chunk.usage else 0
            assert "fairway" not in chunk.model_extra
        assert counted == n * tokens and len(ids) == 1
        tally.whole += 1
        tally.texts.add(text)
    except openai.APIError as e:
        if e.code == "stream_interrupted":
            tally.broken += 1
        else:
            tally.other.append(repr(e))


def kill_in_mid_stream(fairway, n):
    before = fairway.serve("sim", replicas=3, slots=64, profile="decode=15,answer=0")
    tally = Tally()

    async def run():
        client = fairway.async_client()
        tasks = [asyncio.create_task(stream(client, tally, 100, n)) for _ in range(STREAMS)]
        while tally.first < STREAMS:
            await asyncio.sleep(0.01)
        os.kill(before[0]["pid"], signal.SIGKILL)
        await asyncio.gather(*tasks)
        await client.close()

    asyncio.run(run())
    assert tally.other == []
    after = fairway.ready("sim", 3)
    assert {r["pid"] for r in after} - {r["pid"] for r in before}
    text = requests.get(fairway.url + "/metrics").text
    return tally, (metric(text, f"fairway_streams_{what}_total", model_name="sim") for what in ("broken", "resumed"))


def test_streams_go_on_when_their_replica_is_killed(fairway):
    tally, counted = kill_in_mid_stream(fairway, n=1)
    assert (tally.whole, tally.broken) == (STREAMS, 0)
    assert len(tally.texts) == 1  # greedy: all the same, resumed or not
    broken, resumed = counted
    assert broken == 0 and 0 < resumed < STREAMS


def test_a_stream_that_cannot_go_on_says_so(fairway):
    tally, counted = kill_in_mid_stream(fairway, n=2)
    assert tally.whole + tally.broken == STREAMS and 0 < tally.broken < STREAMS
    assert tuple(counted) == (tally.broken, 0)
    shown = json.loads(fairway.cli("top", "-o", "json", "--lines", str(STREAMS)).stdout)["requests"]
    outcomes = {r["attempts"][-1]["outcome"] for r in shown if r.get("reason") == "stream_interrupted"}
    assert outcomes == {"broke off"}


def all_hang(fairway, run, tally):
    """Those that are not whole yet are all on that replica."""
    shown = json.loads(fairway.cli("top", "-o", "json", "--lines", str(STREAMS)).stdout)["requests"]
    running = [r["attempts"][-1]["replica"] for r in shown if r["state"] == "running"]
    return tally.whole + len(running) == STREAMS and set(running) == {run}


def test_not_yet_answered_finish_elsewhere(fairway):
    """The replica is stopped (SIGSTOP) so that it takes requests but answers none, then killed."""
    before = fairway.serve("sim", replicas=3, slots=32, profile="decode=200,answer=0")
    os.kill(before[0]["pid"], signal.SIGSTOP)
    tally = Tally()

    async def run():
        client = fairway.async_client()
        tasks = [asyncio.create_task(stream(client, tally, 20)) for _ in range(STREAMS)]
        while not all_hang(fairway, before[0]["run"], tally):
            await asyncio.sleep(0.05)
        os.kill(before[0]["pid"], signal.SIGKILL)
        await asyncio.gather(*tasks)
        await client.close()

    asyncio.run(run())
    assert (tally.whole, tally.broken, tally.other) == (STREAMS, 0, [])
    text = requests.get(fairway.url + "/metrics").text
    assert 0 < metric(text, "fairway_retries_total", model_name="sim") < STREAMS


def test_whole_answers_survive_a_death(fairway):
    """An answer that is no stream is passed on when it is complete, so the death of its replica is no loss."""
    before = fairway.serve("sim", replicas=2, slots=32, profile="decode=50,answer=0")
    answers = []

    async def run():
        client = fairway.async_client()

        async def one():
            answer = await client.chat.completions.create(model="sim", max_tokens=60,
                                                          messages=[{"role": "user", "content": "hello"}])
            answers.append(answer.usage.completion_tokens)

        tasks = [asyncio.create_task(one()) for _ in range(20)]
        await asyncio.to_thread(wait_for, lambda: metric(
            requests.get(fairway.url + "/metrics").text, "fairway_requests_running", model_name="sim") == 20,
            "all run")
        os.kill(before[0]["pid"], signal.SIGKILL)
        await asyncio.gather(*tasks)
        await client.close()

    asyncio.run(run())
    assert answers == [60] * 20


def test_no_replica_left_means_waiting_then_served(fairway):
    """The only replica dies: requests wait for the next one instead of failing."""
    (before,) = fairway.serve("sim", slots=8, profile="decode=500,answer=0")
    os.kill(before["pid"], signal.SIGKILL)
    answer = fairway.client().chat.completions.create(model="sim", max_tokens=5,
                                                      messages=[{"role": "user", "content": "hello"}])
    assert answer.usage.completion_tokens == 5

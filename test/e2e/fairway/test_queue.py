# SPDX-License-Identifier: Apache-2.0
"""Many streams before few slots: late binding, order, and the answer when the queue is full."""
import asyncio

import openai
import requests

from fairway_process import Fairway, metric, model_manifest, wait_for

STREAMS = 200


def engine_peak(fairway, model):
    (replica,) = fairway.replicas(model)
    text = requests.get(f"http://127.0.0.1:{replica['port']}/metrics").text
    return metric(text, "fairway_engine_running_peak")


async def stream_all(fairway, count):
    """All at once; a list of (status, tokens, headers of a refusal)."""
    client = fairway.async_client()

    async def one(i):
        tokens = 0
        try:
            stream = await client.chat.completions.create(model="sim", stream=True, max_tokens=10,
                                                          stream_options={"include_usage": True},
                                                          messages=[{"role": "user", "content": f"hello {i}"}])
            async for chunk in stream:
                tokens += chunk.usage.completion_tokens if chunk.usage else 0
            return 200, tokens, None
        except openai.APIStatusError as e:
            return e.status_code, tokens, e.response.headers

    results = await asyncio.gather(*(one(i) for i in range(count)))
    await client.close()
    return results


def test_never_more_than_its_slots_none_lost(fairway):
    fairway.serve("sim", slots=4, profile="decode=500,answer=0")
    results = asyncio.run(stream_all(fairway, STREAMS))
    assert [r[0] for r in results] == [200] * STREAMS
    assert all(tokens == 10 for _, tokens, _ in results)
    assert engine_peak(fairway, "sim") == 4
    text = requests.get(fairway.url + "/metrics").text
    assert metric(text, "inference_requests_total", model_name="sim", status="200") == STREAMS
    assert metric(text, "inference_queue_length", model_name="sim") == 0


def test_order_of_arrival(fairway):
    """One slot, so that the order of service shows; each request is sent when the one before it waits."""
    fairway.serve("sim", slots=1, profile="decode=200,answer=0")
    client = fairway.async_client()

    async def run():
        firsts, tasks = [], []

        async def one(i):
            stream = await client.chat.completions.create(model="sim", stream=True, max_tokens=4,
                                                          messages=[{"role": "user", "content": f"hello {i}"}])
            async for _ in stream:
                if i not in firsts:
                    firsts.append(i)

        blocker = await client.chat.completions.create(model="sim", stream=True, max_tokens=2000,
                                                       messages=[{"role": "user", "content": "first"}])
        await anext(aiter(blocker))
        for i in range(40):
            tasks.append(asyncio.create_task(one(i)))
            await asyncio.to_thread(wait_for, lambda: metric(
                requests.get(fairway.url + "/metrics").text, "inference_queue_length", model_name="sim") == i + 1,
                f"{i + 1} requests wait")
        await blocker.close()
        await asyncio.gather(*tasks)
        return firsts

    assert asyncio.run(run()) == list(range(40))


def test_a_full_queue_refuses_the_surplus_and_nothing_else(fairway):
    fairway.apply(model_manifest("sim", slots=4, profile="decode=10,answer=0", queue={"maxLength": 100}))
    fairway.ready("sim")
    results = asyncio.run(stream_all(fairway, STREAMS))
    statuses = [r[0] for r in results]
    assert statuses.count(429) == STREAMS - 104 and statuses.count(200) == 104
    for status, _, headers in results:
        if status == 429:
            assert int(headers["retry-after"]) >= 1 and headers["x-should-retry"] == "true"


def test_comments_keep_a_waiting_stream_alive():
    """One stream holds the slot; those behind it get comments, then either their events or an error event."""
    with Fairway("--quiet", "--keepalive", "50ms") as f:
        f.apply(model_manifest("sim", slots=1, profile="decode=50,answer=0", queue={"maxWait": "2s"}))
        f.ready("sim")

        def ask(tokens):
            return requests.post(f.url + "/v1/chat/completions", stream=True, json={
                "model": "sim", "stream": True, "max_tokens": tokens, "messages": [{"role": "user", "content": "hello"}]})

        with ask(3000) as holder:
            held = holder.iter_lines()  # dropping it would end the stream
            next(held)
            with ask(5) as waits:
                lines = waits.iter_lines()
                assert next(lines).startswith(b": waiting, 0 before this one")
                holder.close()
                events = [line for line in lines if line.startswith(b"data: ")]
                assert events[-1] == b"data: [DONE]" and len(events) >= 3
        with ask(3000) as holder:
            held = holder.iter_lines()  # dropping it would end the stream
            next(held)
            with ask(5) as waits:
                assert waits.status_code == 200
                lines = [line for line in waits.iter_lines() if line]
                assert lines[0].startswith(b": waiting, ") and b'"queue_timeout"' in lines[-1] and lines[-1].startswith(b"data: ")

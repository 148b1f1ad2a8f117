# SPDX-License-Identifier: Apache-2.0
"""kill -9 of an engine at random moments under real generation: every client sees one stream, with the undisturbed text.

FAIRWAY_RUNS rounds (3), FAIRWAY_SEED, FAIRWAY_TOKENS (96), FAIRWAY_MODEL: a GGUF file instead of the tiny model of the tests.
"""
import asyncio
import os
import random
import signal

import requests

from fairway_process import TINY_MODEL, model_manifest, metric, wait_for

STREAMS = 16
MODEL = os.environ.get("FAIRWAY_MODEL", str(TINY_MODEL))
TOKENS = int(os.environ.get("FAIRWAY_TOKENS", "96"))
ROUNDS_OF_A_MODEL = 4  # a replica that is killed again and again is started later and later
PROMPTS = ["Explain in one sentence what a GPU does.", "What is gravity?", "Name three colors.", "Tell me a story about a river."]


def requests_of_a_round(chance):
    """Half greedy, half drawn with a seed; some with a stop string that never comes, some with penalties."""
    asked = []
    for i in range(STREAMS):
        options = {"temperature": 0} if i % 2 else {"temperature": 1, "seed": chance.randrange(1 << 40)}
        if i % 5 == 1:
            options["stop"] = ["a string that never comes"]
        if i % 5 == 2:
            options["frequency_penalty"] = 0.5
        asked.append({"messages": [{"role": "user", "content": chance.choice(PROMPTS)}], "max_tokens": TOKENS, **options})
    return asked


class Round:
    """All requests at once; `tokens` counts the chunks that have come."""

    def __init__(self, fairway, asked):
        self.fairway, self.asked, self.chunks = fairway, asked, 0

    async def one(self, client, request):
        text, ids, finish = "", set(), None
        async for chunk in await client.chat.completions.create(model="m", stream=True, **request):
            self.chunks += 1
            ids.add(chunk.id)
            text += chunk.choices[0].delta.content or ""
            finish = chunk.choices[0].finish_reason or finish
        assert len(ids) == 1 and finish
        return text, finish

    async def run(self, disturb=None):
        client = self.fairway.async_client()
        self.tasks = [asyncio.create_task(self.one(client, request)) for request in self.asked]
        if disturb:
            await disturb(self)
        answers = await asyncio.gather(*self.tasks)
        await client.close()
        return answers


def test_killed_engines_are_not_noticed(fairway):
    chance = random.Random(int(os.environ.get("FAIRWAY_SEED", "1")))
    rounds = int(os.environ.get("FAIRWAY_RUNS", "3"))
    manifest = model_manifest("m", replicas=2, slots=STREAMS)
    manifest["spec"]["source"]["uri"] = f"file://{MODEL}"
    manifest["spec"]["engine"]["contextLength"] = 256
    same = wrong = 0
    for number in range(rounds):
        if number % ROUNDS_OF_A_MODEL == 0:
            fairway.cli("delete", "m", check=False)
            wait_for(lambda: fairway.marked_processes() == [], "the replicas before have ended")
            fairway.apply(manifest)
        fairway.ready("m", 2)
        asked = requests_of_a_round(chance)
        calm = Round(fairway, asked)
        undisturbed = asyncio.run(calm.run())
        moment = chance.uniform(0.02, 0.95) * calm.chunks

        async def kill(this):
            # A chunk may carry several tokens, so that a run has not always as many: the last moment is when all are done.
            while this.chunks < moment and not all(task.done() for task in this.tasks):
                await asyncio.sleep(0.001)
            os.kill(chance.choice(fairway.ready("m", 2))["pid"], signal.SIGKILL)

        disturbed = asyncio.run(Round(fairway, asked).run(kill))
        same += sum(a == b for a, b in zip(undisturbed, disturbed))
        print(f"round {number + 1}: killed after {moment:.0f} of {calm.chunks} chunks, {same} the same", flush=True)
        for a, b, request in zip(undisturbed, disturbed, asked):
            if a != b:
                wrong += 1
                print(f"round {number}: {request}\n  undisturbed {a}\n  disturbed   {b}")
    text = requests.get(fairway.url + "/metrics").text
    resumed = metric(text, "fairway_streams_resumed_total", model_name="m")
    print(f"{rounds} rounds of {STREAMS} streams: {same} the same, {wrong} not, {resumed:.0f} resumed")
    assert resumed > 0
    assert wrong == 0

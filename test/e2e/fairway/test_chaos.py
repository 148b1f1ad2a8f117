# SPDX-License-Identifier: Apache-2.0
"""Chaos: engines killed, stopped, slowed and scaled, configuration changed, clients that leave, reset and half-close, all at once,
at two gateways.

Every request that stays ends in exactly one of {complete, explicit error}; afterwards nothing runs or waits, and what clients
counted is what the gateway's counters and the ledger say. FAIRWAY_CHAOS_SECONDS (15; from 300 on the memory must not grow either),
FAIRWAY_SEED.
"""
import asyncio
import collections
import json
import os
import pathlib
import random
import re
import signal
import socket
import statistics
import struct
import time

import openai
import requests

from fairway_process import BIN, Fairway, Gateway, metric, model_manifest, wait_for

SECONDS = float(os.environ.get("FAIRWAY_CHAOS_SECONDS", "15"))
SEED = int(os.environ.get("FAIRWAY_SEED", "1"))
CLIENTS = 24
MEMORY_GROWTH_MAX = 3  # MB, from the second fifth of the time to the last
MESSAGES = [{"role": "user", "content": "hello"}]
EXPLICIT = {"stream_interrupted", "no_capacity", "queue_timeout", "queue_full"}


def manifest(chance):
    model = model_manifest("sim", replicas=chance.randint(2, 4), slots=8, profile="decode=200,answer=0",
                           price={"input": "1", "output": "2"},
                           queue={"maxLength": chance.choice([20, 1000]), "fairness": chance.choice(["tokens", "requests", "none"])},
                           traffic={"hedgePercent": chance.choice([0, 50]), "policy": chance.choice(["prefix", "least_load", "round_robin", "power_of_two", "session"])})
    return model


class Memory:
    """The gateway's resident memory in MB, once a second."""
    def __init__(self, pid):
        self.path, self.samples = pathlib.Path(f"/proc/{pid}/statm"), []

    async def watch(self, done):
        while not done.is_set():
            self.samples.append(int(self.path.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6)
            await asyncio.sleep(1)

    def fifth(self, i):
        part = len(self.samples) // 5
        return statistics.median(self.samples[i * part:(i + 1) * part] or [0])


class Clients:
    def __init__(self, gateways, keys, chance):
        self.gateways, self.keys, self.chance = gateways, list(keys.values()), chance
        self.clients = {(tenant, g.url): g.async_client(key) for tenant, key in keys.items() for g in gateways}
        self.outcomes = collections.Counter()
        self.wrong = []
        self.tokens = collections.Counter()  # generated, of complete answers, by tenant
        self.end = time.monotonic() + SECONDS
        self.texts = {}  # greedy: one text for each length

    def note_text(self, length, text):
        if self.texts.setdefault(length, text) != text:
            self.wrong.append(f"another text for {length} tokens: {text!r}")

    async def stream(self, client, length, leave):
        text, used = "", None
        stream = await self.clients[client].chat.completions.create(
            model="sim", messages=MESSAGES, max_tokens=length, temperature=0, stream=True, stream_options={"include_usage": True})
        async for chunk in stream:
            text += "".join(c.delta.content or "" for c in chunk.choices)
            used = chunk.usage or used
            if leave and len(text) > 40:
                await stream.close()
                return "left"
        if not used or used.completion_tokens != length:
            self.wrong.append(f"a stream of {length} tokens ended well with {used}")
        self.tokens[client[0]] += length
        self.note_text(length, text)
        return "complete stream"

    async def whole(self, client, length):
        answer = await self.clients[client].chat.completions.create(model="sim", messages=MESSAGES, max_tokens=length, temperature=0)
        self.tokens[client[0]] += answer.usage.completion_tokens
        self.note_text(length, answer.choices[0].message.content)
        return "complete answer"

    def rude(self):
        """Half a request, half-closed or reset, or a whole one that is reset at once."""
        host, port = self.chance.choice(self.gateways).url.removeprefix("http://").split(":")
        body = json.dumps({"model": "sim", "stream": True, "max_tokens": 500, "messages": MESSAGES}).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n" % (
            self.chance.choice(list(self.keys)).encode(), len(body))
        kind = self.chance.choice(["half", "half-close", "reset"])
        with socket.create_connection((host, int(port)), timeout=20) as s:
            if kind == "half":
                s.sendall(head + body[:10])
                s.shutdown(socket.SHUT_WR)
            else:
                s.sendall(head + body)
                if kind == "half-close":
                    s.shutdown(socket.SHUT_WR)
            if kind != "reset":
                while s.recv(65536):
                    pass
            else:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return f"rude: {kind}"

    async def one(self):
        client, length = self.chance.choice(list(self.clients)), self.chance.randint(2, 60)
        kind = self.chance.choices(["stream", "leave", "whole", "rude"], [6, 1, 2, 1])[0]
        try:
            if kind == "rude":
                return await asyncio.to_thread(self.rude)
            if kind == "whole":
                return await self.whole(client, length)
            return await self.stream(client, length, kind == "leave")
        except openai.APIStatusError as error:
            code = (error.body or {}).get("code")
            if code not in EXPLICIT:
                self.wrong.append(f"{error.status_code} {error.body}")
            return f"explicit: {code}"
        except openai.APIConnectionError as error:
            self.wrong.append(f"{kind} broke without a word: {error!r} {error.__cause__!r}")
            return "broken"
        except openai.APIError as error:
            if error.code not in EXPLICIT:
                self.wrong.append(repr(error))
            return f"explicit: {error.code}"

    async def run(self):
        async def loop():
            while time.monotonic() < self.end:
                self.outcomes[await self.one()] += 1
        await asyncio.gather(*(loop() for _ in range(CLIENTS)))
        for client in self.clients.values():
            await client.close()


def passes(client):
    try:
        return client.chat.completions.create(model="sim", messages=MESSAGES, max_tokens=2)
    except openai.RateLimitError:
        return None


async def disturb(fairway, clients, chance, done):
    """One disturbance after another until the clients are done."""
    counted = collections.Counter()

    def engines():
        return [r["pid"] for r in fairway.replicas("sim") if r["pid"] and r["state"] == "ready"]

    def hit(sig):
        alive = engines()
        if len(alive) > 1:
            try:
                os.kill(chance.choice(alive), sig)
            except ProcessLookupError:
                pass

    while not done.is_set():
        kind = chance.choice(["kill", "stop", "slow", "apply", "scale", "key"])
        counted[kind] += 1
        if kind == "kill":
            await asyncio.to_thread(hit, signal.SIGKILL)
        elif kind == "stop":
            await asyncio.to_thread(hit, signal.SIGSTOP)
            await asyncio.sleep(chance.uniform(0.05, 1.0))
            for pid in fairway.marked_processes():
                try:
                    os.kill(pid, signal.SIGCONT)
                except ProcessLookupError:
                    pass
        elif kind == "slow":
            for pid in (await asyncio.to_thread(engines))[:1]:
                for _ in range(20):
                    for sig, pause in ((signal.SIGSTOP, 0.04), (signal.SIGCONT, 0.01)):
                        try:
                            os.kill(pid, sig)
                        except ProcessLookupError:
                            pass
                        await asyncio.sleep(pause)
        elif kind == "apply":
            await asyncio.to_thread(fairway.apply, manifest(chance))
        elif kind == "scale":
            await asyncio.to_thread(fairway.cli, "scale", "sim", "--replicas", str(chance.randint(2, 4)))
        else:
            await asyncio.to_thread(fairway.cli, "key", "create", "passing")
            await asyncio.to_thread(fairway.cli, "key", "delete", "passing")
        await asyncio.sleep(chance.uniform(0.1, 0.8))
    return counted


def test_chaos():
    chance = random.Random(SEED)
    with Fairway("--quiet") as f, Gateway(f) as second:
        f.apply(manifest(chance))
        keys = {tenant: f.cli("key", "create", tenant).stdout.strip() for tenant in ("red", "blue")}
        wait_for(lambda: len([r for r in f.replicas("sim") if r["state"] == "ready"]) >= 2, "two replicas")
        clients = Clients([f, second], keys, chance)

        memory = Memory(f.process.pid)

        async def run():
            done = asyncio.Event()
            watching = asyncio.create_task(memory.watch(done))
            disturbing = asyncio.create_task(disturb(f, clients, random.Random(SEED + 1), done))
            await clients.run()
            done.set()
            await watching
            return await disturbing

        counted = asyncio.run(run())
        print(f"seed {SEED}, {SECONDS:.0f} s: {dict(clients.outcomes)}; disturbances {dict(counted)}; "
              f"memory, MB, by fifths of the time: {', '.join(f'{memory.fifth(i):.1f}' for i in range(5))}")
        for line in clients.wrong[:20]:
            print(line)
        assert clients.wrong == []
        assert clients.outcomes["complete stream"] > 20

        def scrape():
            return [requests.get(g.url + "/metrics").text for g in (f, second)]

        def at_rest():
            return all(metric(text, name, model_name="sim") == 0 for text in scrape()
                       for name in ("fairway_requests_running", "inference_queue_length"))
        wait_for(at_rest, "nothing runs or waits")
        # A request that was reset may never have been one; half a request never is.
        sure = sum(n for what, n in clients.outcomes.items() if what not in ("rude: half", "rude: reset"))
        answered = sum(float(v) for text in scrape()
                       for v in re.findall(r'^inference_requests_total\{.*model_name="sim".*\} (\S+)$', text, re.M))
        print(f"{sure} to {sure + clients.outcomes['rude: reset']} requests by the clients' count, {answered:.0f} by the gateways'")
        assert sure <= answered <= sure + clients.outcomes["rude: reset"]
        if SECONDS >= 300 and BIN.parent.name == "release":
            assert memory.fifth(4) - memory.fifth(1) < MEMORY_GROWTH_MAX
        rows = {}

        def settled():
            rows.update({r["tenant"]: r for r in json.loads(f.cli("usage", "-o", "json").stdout)["items"]})
            return all(rows.get(t, {}).get("outputTokens", 0) >= clients.tokens[t] for t in keys)
        wait_for(settled, "every complete answer is in the ledger")
        for tenant in keys:  # what nobody holds any more: a limit of one at a time lets one pass
            f.apply({"apiVersion": "fairway.dev/v1", "kind": "Tenant", "metadata": {"name": tenant},
                     "spec": {"limits": {"concurrency": 1}}})
            for gateway in (f, second):
                wait_for(lambda: passes(gateway.client(keys[tenant])), "nothing is held")

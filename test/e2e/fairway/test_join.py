# SPDX-License-Identifier: Apache-2.0
"""Several gateways before the same models: `fairway gateway --join`."""
import asyncio
import contextlib
import pathlib
import signal
import socket
import subprocess
import threading
import time

import openai
import requests

from fairway_process import BIN, Fairway, Gateway, metric, model_manifest, wait_for
from test_tenants import ASK, new_key, tenant_manifest, usage

SYNC_PERIOD = 0.1  # GATEWAY_SYNC_PERIOD


@contextlib.contextmanager
def joined(fairway, count, *where):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Gateway(fairway, *where)) for _ in range(count)]


def members(fairway):
    return fairway.get("gateways")["items"]


def test_one_model_behind_two_gateways(fairway):
    """Models, keys and changes of both reach the other process; what it serves is in the ledger."""
    fairway.serve("sim", profile="decode=1000,answer=5", price={"input": "1000", "output": "1000"})
    with joined(fairway, 1) as (gateway,):
        here, there = fairway.client(), gateway.client()
        assert there.chat.completions.create(model="sim", messages=ASK).choices[0].message.content == \
            here.chat.completions.create(model="sim", messages=ASK).choices[0].message.content
        assert requests.get(gateway.url + "/readyz").status_code == 200
        listed = members(fairway)
        assert len(listed) == 2 and listed[0]["id"] == "controller" and listed[1]["address"] == gateway.url
        table = fairway.cli("get", "gateways").stdout.splitlines()
        assert table[0].split() == ["ID", "ADDRESS", "RUNNING", "WAITING", "SEEN", "AGE"] and len(table) == 3

        fairway.serve("second", profile="decode=1000,answer=2")
        wait_for(lambda: {m.id for m in there.models.list()} == {"sim", "second"}, "the new model is known there")
        assert there.chat.completions.create(model="second", messages=ASK).choices
        key = new_key(fairway, "alice", "--tenant", "team")

        def refused(client):
            try:
                client.models.list()
            except openai.AuthenticationError:
                return True
        wait_for(lambda: refused(there), "a key is asked for there")
        assert gateway.client(key).chat.completions.create(model="sim", messages=ASK).choices
        fairway.cli("key", "delete", "alice")
        new_key(fairway, "bob")
        wait_for(lambda: refused(gateway.client(key)), "the deleted key is refused there")
        wait_for(lambda: sum(r["requests"] for r in usage(fairway)) == 4, "all requests are in the ledger")
        assert {(r["tenant"], r["model"]): r["requests"] for r in usage(fairway)} == \
            {("anonymous", "sim"): 2, ("anonymous", "second"): 1, ("team", "sim"): 1}
    assert len(members(fairway)) == 1


async def hammer(clients, seconds, model="sim", **options):
    """Every client asks as fast as it is answered. Counts what was served and what was refused."""
    end, counts = time.monotonic() + seconds, {"served": 0, "refused": 0}

    async def one(client):
        while time.monotonic() < end:
            try:
                await client.chat.completions.create(model=model, messages=ASK, **options)
                counts["served"] += 1
            except openai.RateLimitError:
                counts["refused"] += 1
                await asyncio.sleep(0.005)
    await asyncio.gather(*[one(c) for c in clients])
    return counts


def until_refused(client):
    """Asks until it is refused at several exchanges' distance; the number of those served."""
    served, refusals = 0, 0
    while refusals < 4:
        try:
            client.chat.completions.create(model="sim", messages=ASK, max_tokens=2)
            served, refusals = served + 1, 0
        except openai.RateLimitError:
            refusals += 1
            time.sleep(SYNC_PERIOD)
    return served


def serve_limited(fairway, profile="decode=1000,answer=0", slots=64, **limits):
    fairway.serve("sim", slots=slots, profile=profile, price={"input": "1000", "output": "1000"})
    fairway.apply(tenant_manifest("team", limits=limits))
    return new_key(fairway, "alice", "--tenant", "team")


def test_a_limit_in_a_minute_is_one_limit(fairway):
    """Once the first requests are told, three gateways let through what one would: the minute's worth at once, then its rate."""
    limit = 60
    key = serve_limited(fairway, requestsPerMinute=limit)
    with joined(fairway, 2) as gateways:
        everywhere = [fairway, *gateways]
        begun, first = time.monotonic(), 0
        for gateway in everywhere:  # each learns that all is used up
            first += until_refused(gateway.client(key))
        counts = asyncio.run(hammer([g.async_client(key) for g in everywhere], 3, max_tokens=2))
        passed = time.monotonic() - begun
        assert first >= limit and counts["refused"] > 0
        # A request that has room again may come to all three before they tell each other; it is a debt then.
        assert first + counts["served"] <= limit + limit * passed / 60 + 2 * 2
        text = requests.get(gateways[0].url + "/metrics").text
        assert metric(text, "fairway_controller_connected") == 1
        wait_for(lambda: sum(r["requests"] for r in usage(fairway)) == first + counts["served"],
                 "the ledger has what was served, to the unit")


def test_requests_at_a_time_are_one_limit(fairway):
    """A limit that is used up at one gateway is so at the others, and free again as soon as the requests end."""
    key = serve_limited(fairway, profile="decode=20,answer=0", concurrency=4)
    with joined(fairway, 2) as gateways:
        streams = [g.client(key).chat.completions.create(model="sim", messages=ASK, max_tokens=100000, stream=True)
                   for g in (fairway, gateways[0], gateways[1], gateways[1])]
        for stream in streams:
            next(iter(stream))

        def refused(gateway):
            try:
                gateway.client(key).chat.completions.create(model="sim", messages=ASK, max_tokens=1)
            except openai.RateLimitError as error:
                return "4 requests at a time" in error.message
        for gateway in (fairway, *gateways):
            wait_for(lambda: refused(gateway), "every gateway knows of all four")
        for stream in streams:
            stream.close()
        for gateway in (fairway, *gateways):
            wait_for(lambda: not refused(gateway), "the limit is free again")


def test_a_budget_is_one_budget(fairway):
    key = serve_limited(fairway, budgetPerDay="2")
    with joined(fairway, 1) as (gateway,):
        there = gateway.client(key)
        used = there.chat.completions.create(model="sim", messages=ASK, max_tokens=1900).usage
        assert used.total_tokens >= 1900

        def refused(client):
            try:
                client.chat.completions.create(model="sim", messages=ASK, max_tokens=300)
            except openai.RateLimitError as error:
                return "budget per day" in error.message
        wait_for(lambda: refused(fairway.client(key)), "the controller's gateway counts it")
        with joined(fairway, 1) as (late,):
            assert refused(late.client(key))  # it joins with what was used before


def running_at(fairway):
    return {m["address"]: m["running"] for m in members(fairway)}


def test_slots_are_divided(fairway):
    """Two gateways with more to do than slots share them; alone again, the first has them all. The replica is never over its
    slots by more than one."""
    fairway.serve("sim", slots=6, profile="decode=50,answer=0")

    def ask(gateway, count):
        async def stream(client):
            async for _ in await client.chat.completions.create(model="sim", messages=ASK, max_tokens=40, stream=True):
                pass
        return [stream(gateway.async_client()) for _ in range(count)]

    def most_running(seconds):
        seen, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            seen.append(running_at(fairway))
        return seen
    with joined(fairway, 1) as (gateway,):
        async def both():
            work = asyncio.gather(*ask(fairway, 30), *ask(gateway, 30))
            seen = await asyncio.to_thread(most_running, 4)
            await work
            return seen
        seen = asyncio.run(both())
        assert max(sum(s.values()) for s in seen) <= 6 + 1
        settled = seen[len(seen) // 2:]
        assert all(s[fairway.url] >= 2 and s[gateway.url] >= 2 for s in settled), settled[-5:]

    async def alone():
        work = asyncio.gather(*ask(fairway, 12))
        await asyncio.to_thread(wait_for, lambda: running_at(fairway)[fairway.url] == 6, "all slots are its own again")
        await work
    asyncio.run(alone())


def test_models_change_under_a_joined_gateway(fairway):
    """Scaling and a new revision while it serves: it hears of a replica's end late, and still no request fails."""
    fairway.serve("sim", replicas=3, profile="decode=500,answer=0")
    with joined(fairway, 1) as (gateway,):
        done = threading.Event()

        async def one(client):
            count = 0
            while not done.is_set():
                answer = await client.chat.completions.create(model="sim", messages=ASK, max_tokens=20)
                assert answer.usage.completion_tokens == 20
                count += 1
            return count

        def change():
            try:
                for replicas in (1, 3, 2):
                    fairway.cli("scale", "sim", "--replicas", str(replicas))
                    fairway.ready("sim", replicas)
                before = {r["run"] for r in fairway.replicas("sim")}
                fairway.apply(model_manifest("sim", replicas=2, profile="decode=400,answer=0"))
                wait_for(lambda: not before & {r["run"] for r in fairway.ready("sim", 2)}, "the new revision runs alone")
            finally:
                done.set()

        async def both():
            results = asyncio.gather(*[one(gateway.async_client()) for _ in range(8)])
            await asyncio.to_thread(change)
            return await results
        served = sum(asyncio.run(both()))
        assert served > 100
        wait_for(lambda: sum(r["requests"] for r in usage(fairway)) == served, "all are in the ledger")


def test_without_the_controller_a_gateway_goes_on(fairway):
    """The controller is killed and comes back: the gateway serves all the time, and what it served is in the ledger."""
    fairway.serve("sim", profile="decode=1000,answer=3")
    with joined(fairway, 1) as (gateway,):
        client = gateway.client()
        client.chat.completions.create(model="sim", messages=ASK)
        wait_for(lambda: sum(r["requests"] for r in usage(fairway)) == 1, "the first request is in the ledger")
        fairway.kill()
        for _ in range(5):
            client.chat.completions.create(model="sim", messages=ASK)
        wait_for(lambda: "the controller does not answer" in gateway.log_text(), "it says so")
        assert metric(requests.get(gateway.url + "/metrics").text, "fairway_controller_connected") == 0
        assert requests.get(gateway.url + "/readyz").status_code == 200
        fairway.start()
        wait_for(lambda: len(members(fairway)) == 2, "it has joined the new controller")
        wait_for(lambda: sum(r["requests"] for r in usage(fairway)) == 6, "all that it served is in the ledger")
        fairway.ready("sim")
        assert client.chat.completions.create(model="sim", messages=ASK).choices


def test_a_controller_that_hangs(fairway):
    """What its own gateway had open does not keep a tenant out of the others for ever."""
    key = serve_limited(fairway, profile="decode=20,answer=0", concurrency=1)
    with joined(fairway, 1) as (gateway,):
        stream = fairway.client(key).chat.completions.create(model="sim", messages=ASK, max_tokens=100000, stream=True)
        next(iter(stream))

        def refused():
            try:
                gateway.client(key).chat.completions.create(model="sim", messages=ASK, max_tokens=1)
            except openai.RateLimitError:
                return True
        wait_for(refused, "the other one knows of it")
        fairway.process.send_signal(signal.SIGSTOP)
        try:
            wait_for(lambda: not refused(), "it is let in by the gateway that still answers")
        finally:
            fairway.process.send_signal(signal.SIGCONT)
        stream.close()
        wait_for(lambda: not refused(), "and afterwards too")


def test_a_gateway_that_dies_leaves_its_share(fairway):
    key = serve_limited(fairway, profile="decode=20,answer=0", concurrency=2)
    with joined(fairway, 1) as (gateway,):
        streams = [gateway.client(key).chat.completions.create(model="sim", messages=ASK, max_tokens=100000, stream=True)
                   for _ in range(2)]
        for stream in streams:
            next(iter(stream))

        def refused():
            try:
                fairway.client(key).chat.completions.create(model="sim", messages=ASK, max_tokens=1)
            except openai.RateLimitError:
                return True
        wait_for(refused, "the other one knows of both")
        gateway.kill()
        wait_for(lambda: not refused(), "what the dead one held is free")
        assert len(members(fairway)) == 1


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_join_by_tcp(tmp_path):
    """With the token of the state folder, over TLS, and no further than what a gateway needs."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem", "-days", "2", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                   check=True, capture_output=True)
    port = free_port()
    with Fairway("--quiet", "--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"),
                 "--join-listen", f"127.0.0.1:{port}") as fairway:
        fairway.serve("sim", profile="decode=1000,answer=5")
        token = pathlib.Path(fairway.state, "join.token")
        assert token.stat().st_mode & 0o777 == 0o600
        where = ("--join", f"https://127.0.0.1:{port}", "--join-ca", str(tmp_path / "cert.pem"))
        with joined(fairway, 1, *where, "--join-token-file", str(token)) as (gateway,):
            assert gateway.client().chat.completions.create(model="sim", messages=ASK).choices
            wait_for(lambda: sum(r["requests"] for r in usage(fairway)) == 1, "the ledger hears of it")
        session = requests.Session()
        session.trust_env, session.verify = False, str(tmp_path / "cert.pem")
        base = f"https://127.0.0.1:{port}"
        assert session.post(base + "/v1/gateways/sync", json={}).status_code == 401
        session.headers["authorization"] = "Bearer " + token.read_text()[:-1] + "x"
        assert session.post(base + "/v1/gateways/sync", json={}).status_code == 401
        session.headers["authorization"] = "Bearer " + token.read_text()
        assert session.get(base + "/v1/keys").status_code == 404
        problem = session.post(base + "/v1/gateways/sync", json={"gateway": "x"})
        assert problem.status_code == 400 and "sequence" in problem.json()["error"]["message"]
        wrong = subprocess.run([BIN / "fairway", "gateway", "--listen", "127.0.0.1:0", *where], capture_output=True,
                               text=True, timeout=60)
        assert wrong.returncode == 1 and "join.token" in wrong.stderr
    open_join = subprocess.run([BIN / "fairway", "up", "--join-listen", "0.0.0.0:0", "--state", str(tmp_path / "s")],
                               capture_output=True, text=True, timeout=60)
    assert open_join.returncode == 2 and "--tls-cert" in open_join.stderr

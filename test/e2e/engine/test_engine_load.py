# SPDX-License-Identifier: Apache-2.0
"""Many clients at once, clients that leave, slow ones, and the end of the process."""
import concurrent.futures
import socket
import threading

import openai
import pytest
import requests

from engine_process import WAIT, Engine, wait_until


def stream(engine, max_tokens=20, **options):
    body = {"prompt": "Once", "max_tokens": max_tokens, "stream": True, "ignore_eos": True, **options}
    return requests.post(engine.url + "/v1/completions", json=body, stream=True, timeout=WAIT)


def test_four_slots_and_two_hundred_streams():
    with Engine("--slots", "4") as engine:

        def run(_):
            client = engine.client()
            chunks = list(
                client.completions.create(
                    model="tiny", prompt="Once", max_tokens=20, stream=True, temperature=0, extra_body={"ignore_eos": True}
                )
            )
            assert chunks[-1].choices[0].finish_reason == "length"
            return "".join(chunk.choices[0].text for chunk in chunks)

        with concurrent.futures.ThreadPoolExecutor(200) as pool:
            texts = list(pool.map(run, range(200)))
        assert len(texts) == 200 and len(set(texts)) == 1
        assert engine.metric("fairway_engine_running_peak") == 4
        assert engine.metric("inference_requests_total", status="200") == 200


def test_a_full_queue_is_429():
    with Engine("--simulate", "decode=5,answer=0", "--slots", "1", "--queue", "2", model=None) as engine:
        streams = [stream(engine, 400) for _ in range(1)]
        body = {"prompt": "x", "max_tokens": 1}
        waiting = [threading.Thread(target=requests.post, args=(engine.url + "/v1/completions",), kwargs={"json": body}) for _ in range(2)]
        for thread in waiting:
            thread.start()
        wait_until(lambda: engine.metric("inference_queue_length") == 2, "two wait")
        with pytest.raises(openai.RateLimitError) as raised:
            engine.client().completions.create(model="tiny", prompt="x", max_tokens=1)
        assert raised.value.response.headers["retry-after"]
        for response in streams:
            response.close()  # makes room
        for thread in waiting:
            thread.join(WAIT)
            assert not thread.is_alive()


def test_a_departed_client_frees_its_slot():
    with Engine("--simulate", "decode=50,answer=0", "--slots", "1", model=None) as engine:
        response = stream(engine, 4000)
        next(response.iter_lines())
        assert engine.metric("vllm:num_requests_running") == 1
        response.close()
        wait_until(lambda: engine.metric("vllm:num_requests_running") == 0, "the slot is free")
        assert engine.metric("inference_requests_total", status="499") == 1
        answer = engine.client().completions.create(model="tiny", prompt="x", max_tokens=2)
        assert answer.usage.completion_tokens == 2


def test_a_client_that_leaves_the_queue_is_forgotten():
    with Engine("--simulate", "decode=20,answer=0", "--slots", "1", model=None) as engine:
        running = stream(engine, 4000)
        with socket.create_connection(("127.0.0.1", engine.port)) as waiting:
            body = b'{"prompt":"x","max_tokens":1}'
            waiting.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            wait_until(lambda: engine.metric("inference_queue_length") == 1, "one waits")
        wait_until(lambda: engine.metric("inference_queue_length") == 0, "it left")
        running.close()


def test_a_slow_reader_pauses_alone():
    with Engine("--simulate", "decode=2000,answer=0", "--slots", "2", "--context", "100000", model=None) as engine:
        slow = socket.create_connection(("127.0.0.1", engine.port))
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        body = b'{"prompt":"x","max_tokens":90000,"stream":true,"logprobs":5}'
        slow.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

        def paused():
            before = engine.metric("fairway_engine_steps_total")
            requests.get(engine.url + "/health", timeout=WAIT)
            return engine.metric("fairway_engine_steps_total") == before and before > 64

        wait_until(paused, "the slow reader's sequence pauses")
        answer = engine.client().completions.create(model="tiny", prompt="x", max_tokens=500)
        assert answer.usage.completion_tokens == 500
        slow.close()
        wait_until(lambda: engine.metric("vllm:num_requests_running") == 0, "the slow reader left")


def test_long_prompts_do_not_stop_streams():
    """While a prompt of 3,000 tokens is read, a stream goes on: bounded gaps instead of one long one."""
    with Engine("--simulate", "prefill=1500,decode=50,answer=0", "--slots", "2", "--step", "100ms", model=None) as engine:
        lines = stream(engine, 400).iter_lines()
        next(lines)
        reader = threading.Thread(
            target=requests.post,
            args=(engine.url + "/v1/completions",),
            kwargs={"json": {"prompt": [1] * 3000, "max_tokens": 1}, "timeout": WAIT},
        )
        reader.start()
        tokens = 0
        while reader.is_alive():
            tokens += next(lines).startswith(b"data: {")
        reader.join()
        assert tokens > 10  # one batch for the whole prompt would have let one or two through


def test_memory_runs_out_and_everybody_is_served():
    with Engine("--simulate", "prefill=100000,decode=1000,kv=600,answer=0", "--slots", "8", "--context", "512", model=None) as engine:

        def run(index):
            answer = engine.client().completions.create(model="tiny", prompt="x" * 30, max_tokens=200 + index, temperature=0)
            return answer.usage.completion_tokens

        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            assert list(pool.map(run, range(12))) == [200 + index for index in range(12)]
        assert engine.metric("vllm:num_preemptions_total") > 0


def test_drain_lets_running_requests_end():
    with Engine("--simulate", "decode=50,answer=0", "--slots", "1", model=None) as engine:
        running = stream(engine, 50)
        lines = running.iter_lines()
        next(lines)
        engine.terminate()
        wait_until(lambda: engine.status("/ready") == 503, "not ready")
        assert engine.status("/health") == 200
        with pytest.raises(openai.InternalServerError) as raised:
            engine.client().completions.create(model="tiny", prompt="x")
        assert raised.value.status_code == 503
        rest = [line for line in lines if line]
        assert rest[-1] == b"data: [DONE]"
        assert engine.wait() == 0


def test_drain_has_an_end():
    with Engine("--simulate", "decode=20,answer=0", "--slots", "1", "--drain-timeout", "300ms", model=None) as engine:
        lines = stream(engine, 4000).iter_lines()
        next(lines)
        whole = concurrent.futures.ThreadPoolExecutor(1).submit(
            requests.post, engine.url + "/v1/completions", json={"prompt": "x"}, timeout=WAIT
        )
        wait_until(lambda: engine.metric("inference_queue_length") == 1, "one waits")
        engine.terminate()
        assert whole.result().status_code == 503  # it never ran: another replica may have it
        rest = [line for line in lines if line]
        assert b'"error"' in rest[-1] and b"shutting_down" in rest[-1]
        assert engine.wait() == 0


def test_drain_without_requests_is_immediate():
    with Engine() as engine:
        engine.terminate()
        assert engine.wait() == 0


def test_a_step_that_never_ends_does_not_hold_clients_or_the_process():
    with Engine("--simulate", "decode=100,answer=0,hang_after=5", "--drain-timeout", "200ms", model=None) as engine:
        lines = stream(engine, 100).iter_lines()
        next(lines)
        engine.terminate()
        rest = [line for line in lines if line]
        assert b"shutting_down" in rest[-1]
        assert engine.wait() == 0


def test_start_up_is_visible():
    with Engine("--simulate", "startup=700ms", model=None, wait=False) as engine:
        assert engine.status("/health") == 200
        answer = requests.get(engine.url + "/ready")
        assert answer.status_code == 503 and answer.json() == {"status": "loading"}
        with pytest.raises(openai.InternalServerError) as raised:
            engine.client().completions.create(model="tiny", prompt="x")
        assert raised.value.status_code == 503
        wait_until(lambda: engine.status("/ready") == 200, "ready")


def test_faults_of_the_simulation():
    with Engine("--simulate", "decode=1000,fail=0.5,seed=3,crash_after=40", model=None) as engine:
        statuses = [
            requests.post(engine.url + "/v1/completions", json={"prompt": "x", "max_tokens": 1}).status_code for _ in range(40)
        ]
        assert 10 < statuses.count(500) < 30 and statuses.count(200) == 40 - statuses.count(500)
        with pytest.raises(requests.ConnectionError):
            requests.post(engine.url + "/v1/completions", json={"prompt": "x"})
        assert engine.wait() != 0


def test_simulated_text_follows_from_the_seed():
    def text(seed):
        with Engine("--simulate", f"decode=1000,seed={seed}", model=None) as engine:
            return engine.client().completions.create(model="tiny", prompt="x", max_tokens=30, temperature=0).choices[0].text

    assert text(1) == text(1) != text(2)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--simulate", "decode=fast"], "decode=fast: expected a speed above 0"),
        (["--port", "70000"], "--port"),
        (["--modle", "x"], "unknown argument --modle"),
        ([], "no model: give --model"),
    ],
)
def test_wrong_usage_says_what_is_wrong(arguments, message):
    import subprocess

    from engine_process import BINARY

    ended = subprocess.run([str(BINARY), *arguments], capture_output=True, text=True, timeout=WAIT)
    assert ended.returncode == 2 and message in ended.stderr


def test_a_file_that_is_no_model(tmp_path):
    wrong = tmp_path / "wrong.gguf"
    wrong.write_bytes(b"GGUF" + bytes(100))
    with Engine(model=wrong, wait=False) as engine:
        assert engine.wait() == 1
        assert "cannot load model" in engine.log_text() and "wrong.gguf" in engine.log_text()

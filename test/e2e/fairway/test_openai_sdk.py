# SPDX-License-Identifier: Apache-2.0
"""The unmodified OpenAI SDK through the whole system: gateway, queue, router, engine with a real (tiny) model."""
import json
import subprocess

import openai
import pytest

from fairway_process import Fairway, model_manifest


@pytest.fixture(scope="module")
def fairway():
    with Fairway("--quiet") as f:
        f.serve("tiny", traffic={"aliases": ["small-one"]})
        yield f


@pytest.fixture(scope="module")
def client(fairway):
    return fairway.client()


ASK = [{"role": "user", "content": "Once upon a time"}]


def test_list_models(client):
    assert {m.id for m in client.models.list()} == {"tiny", "small-one"}
    assert client.models.retrieve("tiny").id == "tiny"


def test_chat(client):
    answer = client.chat.completions.create(model="tiny", messages=ASK, max_tokens=20)
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert answer.usage.completion_tokens <= 20
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_alias_reaches_the_model(client):
    answer = client.chat.completions.create(model="small-one", messages=ASK, max_tokens=5)
    assert answer.choices[0].message.content


def test_stream_equals_whole_answer(client):
    options = dict(model="tiny", messages=ASK, max_tokens=40, temperature=0)
    whole = client.chat.completions.create(**options).choices[0].message.content
    chunks = list(client.chat.completions.create(stream=True, **options))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole
    assert len(chunks) >= 2  # tokens that are there together may share one


def test_stop(client):
    options = dict(model="tiny", prompt="Once upon a time", max_tokens=60, temperature=0)
    text = client.completions.create(**options).choices[0].text
    stop = text[10:14]
    cut = client.completions.create(stop=[stop], **options)
    assert cut.choices[0].text == text[: text.index(stop)]
    assert cut.choices[0].finish_reason == "stop"


def test_same_seed_same_text(client):
    options = dict(model="tiny", prompt="Once upon a time", max_tokens=30, temperature=1)
    texts = {client.completions.create(seed=7, **options).choices[0].text for _ in range(3)}
    assert len(texts) == 1
    assert client.completions.create(seed=8, **options).choices[0].text not in texts


def test_logprobs(client):
    answer = client.chat.completions.create(model="tiny", messages=ASK, max_tokens=5, logprobs=True, top_logprobs=3)
    tokens = answer.choices[0].logprobs.content
    assert len(tokens) == 5
    for token in tokens:
        assert token.logprob <= 0 and len(token.top_logprobs) == 3


def test_usage_in_the_stream(client):
    chunks = list(client.chat.completions.create(model="tiny", messages=ASK, max_tokens=8, stream=True,
                                                 stream_options={"include_usage": True}))
    assert chunks[-1].usage.completion_tokens == 8 and chunks[-1].choices == []


def test_unknown_model(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="no-such-model", messages=ASK)
    assert caught.value.code == "model_not_found" and "no-such-model" in caught.value.message


def test_bad_parameter(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="tiny", messages=ASK, temperature=17)
    assert caught.value.param == "temperature"


def test_body_that_is_no_json(fairway):
    done = subprocess.run(["curl", "-s", fairway.url + "/v1/chat/completions", "-d", '{"model": tiny}'],
                          capture_output=True, text=True)
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "invalid_json" and "byte 11" in error["message"]


def test_generate_with_curl(fairway):
    done = subprocess.run(["curl", "-sN", fairway.url + "/generate", "-d",
                           '{"prompt": "Once upon a time", "max_tokens": 10}'], capture_output=True, text=True)
    events = [e for e in done.stdout.split("\n\n") if e]
    assert events[-1] == "data: [DONE]"
    assert len(events) >= 2 and all(e.startswith("data: ") for e in events)


def test_keys():
    with Fairway("--quiet") as f:
        f.serve("tiny")
        assert f.client(key="anything").models.list().data  # on loopback nobody asks before the first key is made
        key = f.cli("key", "create", "alice").stdout.strip()
        assert f.client(key=key).models.list().data
        with pytest.raises(openai.AuthenticationError):
            f.client(key="fw-" + "A" * 43).models.list()
        with pytest.raises(openai.AuthenticationError):
            f.client(key="none").chat.completions.create(model="tiny", messages=ASK)
        assert key not in f.log_text()
        f.cli("key", "delete", "alice")


def test_full_queue():
    with Fairway("--quiet") as f:
        f.apply(model_manifest("sim", slots=1, profile="decode=20,answer=0", queue={"maxLength": 0}))
        f.ready("sim")
        client = f.client()
        running = client.chat.completions.create(model="sim", messages=ASK, max_tokens=2000, stream=True)
        next(iter(running))
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model="sim", messages=ASK)
        assert caught.value.code == "queue_full"
        assert int(caught.value.response.headers["retry-after"]) >= 1
        running.close()

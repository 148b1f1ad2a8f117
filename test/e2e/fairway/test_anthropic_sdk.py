# SPDX-License-Identifier: Apache-2.0
"""The unmodified Anthropic SDK through the whole system; the engine behind it speaks OpenAI's API only."""
import json
import os
import signal

import anthropic
import pytest
import requests

from fairway_process import Fairway, model_manifest, wait_for

ASK = [{"role": "user", "content": "Once upon a time"}]
PLAIN = {"model": "tiny", "messages": ASK, "max_tokens": 40}
OPTIONS = {**PLAIN, "extra_body": {"temperature": 0}}  # this SDK has no word for it any more; the format has


def client_of(fairway, key="none", **rest):
    return anthropic.Anthropic(base_url=fairway.url, api_key=key, max_retries=0, timeout=120, **rest)


@pytest.fixture(scope="module")
def fairway():
    with Fairway("--quiet") as f:
        f.serve("tiny", traffic={"aliases": ["small-one"]})
        f.serve("sim", profile="decode=200,answer=0")
        yield f


@pytest.fixture(scope="module")
def client(fairway):
    return client_of(fairway)


def openai_answer(fairway, **options):
    return fairway.client().chat.completions.create(temperature=0, **{**PLAIN, **options})


def test_whole_answer(fairway, client):
    message = client.messages.create(**OPTIONS)
    same = openai_answer(fairway)
    assert (message.type, message.role, message.model) == ("message", "assistant", same.model) and message.id
    assert [(b.type, b.text) for b in message.content] == [("text", same.choices[0].message.content)]
    assert message.stop_reason == {"stop": "end_turn", "length": "max_tokens"}[same.choices[0].finish_reason]
    assert message.stop_sequence is None
    usage = message.usage
    assert usage.input_tokens + usage.cache_read_input_tokens == same.usage.prompt_tokens
    assert usage.output_tokens == same.usage.completion_tokens
    assert message._request_id.startswith("req_")


def test_alias_and_a_length_that_ends_it(client):
    message = client.messages.create(**{**OPTIONS, "model": "small-one", "max_tokens": 3})
    assert message.stop_reason == "max_tokens" and message.usage.output_tokens == 3


def test_stream_helper(fairway, client):
    with client.messages.stream(**OPTIONS) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    same = openai_answer(fairway)
    assert text == same.choices[0].message.content == message.content[0].text
    assert message.stop_reason in ("end_turn", "max_tokens")
    assert message.usage.output_tokens == same.usage.completion_tokens
    assert message.usage.input_tokens + message.usage.cache_read_input_tokens == same.usage.prompt_tokens


def test_raw_stream(client):
    events = list(client.messages.create(stream=True, **OPTIONS))
    types = [e.type for e in events]
    assert types[:2] == ["message_start", "content_block_start"]
    assert types[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(types[2:-3]) == {"content_block_delta"}  # how many there are is the engine's business
    assert events[0].message.role == "assistant" and events[0].message.content == []
    assert events[1].content_block.type == "text" and {e.index for e in events[1:-2]} == {0}


def test_stop_sequences(client):
    text = client.messages.create(**OPTIONS).content[0].text
    stop = text[10:14]
    cut = client.messages.create(stop_sequences=[stop], **OPTIONS)
    assert cut.content[0].text == text[: text.index(stop)]
    assert cut.stop_reason in ("end_turn", "stop_sequence")  # which one needs an engine that names the stop string


def test_system_and_blocks(fairway, client):
    system = "You tell stories."
    same = openai_answer(fairway, messages=[{"role": "system", "content": system}, *ASK])
    for form in (system, [{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}]):
        message = client.messages.create(system=form, **OPTIONS)
        assert message.content[0].text == same.choices[0].message.content
        assert message.usage.input_tokens + message.usage.cache_read_input_tokens == same.usage.prompt_tokens
    blocks = [{"role": "user", "content": [{"type": "text", "text": "Once upon"}, {"type": "text", "text": " a time"}]}]
    assert client.messages.create(**{**OPTIONS, "messages": blocks}).content[0].text == \
        openai_answer(fairway).choices[0].message.content


def test_count_tokens(fairway, client):
    options = {"model": "small-one", "messages": ASK, "system": "You tell stories."}
    count = client.messages.count_tokens(**options).input_tokens
    usage = client.messages.create(max_tokens=1, **options).usage
    assert count == usage.input_tokens + usage.cache_read_input_tokens > 0
    assert client.messages.count_tokens(model="sim", messages=ASK).input_tokens > 0


@pytest.mark.parametrize("stream", [False, True])
def test_bad_requests(client, stream):
    for options, words in (({"extra_body": {"temperature": 17}}, "temperature"), ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking"),
                           ({"messages": [{"role": "user", "content": [{"type": "document"}]}]}, "document"),
                           ({"tools": [{"name": "f", "input_schema": {"type": "object"}}]}, "tools")):
        with pytest.raises(anthropic.BadRequestError) as caught:
            client.messages.create(stream=stream, **{**OPTIONS, **options})
        error = caught.value.body["error"]
        assert caught.value.body["type"] == "error" and error["type"] == "invalid_request_error" and words in error["message"]


def test_what_is_not_there(fairway, client):
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.create(**{**OPTIONS, "model": "no-such-model"})
    assert caught.value.body["error"]["type"] == "not_found_error" and "no-such-model" in caught.value.message
    with pytest.raises(anthropic.NotFoundError):
        client.messages.count_tokens(model="no-such-model", messages=ASK)
    assert requests.post(fairway.url + "/v1/messages/batches").json()["error"]["type"] == "not_found_error"
    assert requests.get(fairway.url + "/v1/messages").json()["error"]["type"] == "invalid_request_error"
    answer = requests.post(fairway.url + "/v1/messages", data='{"model": tiny}')
    assert answer.status_code == 400 and "JSON" in answer.json()["error"]["message"]


def test_usage_is_in_the_ledger_and_in_why(fairway, client):
    answer = client.messages.with_raw_response.create(**{**OPTIONS, "metadata": {"user_id": "u"}})
    usage = answer.parse().usage
    assert answer.headers["request-id"] == answer.headers["x-request-id"]
    why = json.loads(fairway.cli("why", answer.headers["request-id"], "-o", "json").stdout)
    assert why["status"] == 200 and why["usage"]["outputTokens"] == usage.output_tokens
    assert why["usage"]["inputTokens"] == usage.input_tokens + usage.cache_read_input_tokens


def test_keys_and_limits():
    with Fairway("--quiet") as f:
        f.serve("sim", slots=1, profile="decode=20,answer=0", queue={"maxLength": 0})
        key = f.cli("key", "create", "alice").stdout.strip()
        options = {"model": "sim", "messages": ASK, "max_tokens": 2000}
        with pytest.raises(anthropic.AuthenticationError) as caught:
            client_of(f, "fw-" + "A" * 43).messages.create(**options)
        assert caught.value.body["error"]["type"] == "authentication_error"
        bearer = anthropic.Anthropic(base_url=f.url, auth_token=key, max_retries=0, timeout=120)
        with bearer.messages.create(stream=True, **options) as running:
            assert next(iter(running)).type == "message_start"
            with pytest.raises(anthropic.RateLimitError) as caught:
                client_of(f, key).messages.create(**options)
            assert caught.value.body["error"]["type"] == "rate_limit_error"
            assert int(caught.value.response.headers["retry-after"]) >= 1
        f.apply({"apiVersion": "fairway.dev/v1", "kind": "Tenant", "metadata": {"name": "alice"},
                 "spec": {"limits": {"requestsPerMinute": 1}}})

        def refused():
            try:
                client_of(f, key).messages.create(**{**options, "max_tokens": 1})
            except anthropic.RateLimitError as error:
                return "requests per minute" in error.message
        wait_for(refused, "the tenant's limit holds for this dialect")


def test_stream_goes_on_when_its_replica_dies():
    with Fairway("--quiet") as f:
        manifest = model_manifest("tiny", replicas=2)
        manifest["spec"]["engine"]["contextLength"] = 256
        f.apply(manifest)
        f.ready("tiny", 2)
        client = client_of(f)
        options = {**OPTIONS, "max_tokens": 120}
        whole = client.messages.create(**options)
        text, killed = "", False
        with client.messages.stream(**options) as stream:
            for event in stream:
                if event.type == "text" and not killed:
                    killed = True
                    record = json.loads(f.cli("top", "-o", "json").stdout)["requests"][0]
                    run = json.loads(f.cli("why", record["id"], "-o", "json").stdout)["attempts"][0]["replica"]
                    os.kill(next(r["pid"] for r in f.replicas("tiny") if r["run"] == run), signal.SIGKILL)
                text += event.text if event.type == "text" else ""
            message = stream.get_final_message()
        assert killed and text == whole.content[0].text == message.content[0].text
        assert (message.stop_reason, message.usage.output_tokens) == (whole.stop_reason, whole.usage.output_tokens)

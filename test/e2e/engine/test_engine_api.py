# SPDX-License-Identifier: Apache-2.0
"""The OpenAI API of the engine, by the OpenAI client, over a real (tiny) model."""
import base64
import json
import re
import struct

import openai
import pytest
import requests

from engine_process import ROOT

PROMPT = "Once upon a time"


def complete(client, prompt=PROMPT, **options):
    options = {"temperature": 0, "max_tokens": 40, **options}
    return client.completions.create(model="tiny", prompt=prompt, **options)


def chat(client, text="Tell me a story", **options):
    options = {"temperature": 0, "max_tokens": 20, **options}
    return client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": text}], **options)


def test_models(client):
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").id == "tiny"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("other")


def test_completion(client):
    answer = complete(client)
    assert answer.object == "text_completion"
    assert "there was a little girl" in answer.choices[0].text
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 40
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 40
    assert answer.system_fingerprint.startswith("fairway-")


def test_chat(client):
    answer = chat(client)
    assert answer.object == "chat.completion"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content
    assert answer.usage.completion_tokens == 20


def test_content_may_come_in_parts(client):
    whole = chat(client, "Tell me a story").choices[0].message.content
    parts = [{"type": "text", "text": "Tell me "}, {"type": "text", "text": "a story"}]
    assert chat(client, parts).choices[0].message.content == whole


def test_stream_gives_the_same_text(client):
    whole = complete(client).choices[0].text
    chunks = list(complete(client, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "length"
    assert len({chunk.id for chunk in chunks}) == 1


def test_chat_stream(client):
    whole = chat(client)
    chunks = list(chat(client, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole.choices[0].message.content


def test_usage_in_stream(client):
    chunks = list(complete(client, stream=True, stream_options={"include_usage": True}))
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 40
    plain = list(complete(client, stream=True))
    assert all(chunk.usage is None for chunk in plain)


@pytest.mark.parametrize("stream", [False, True])
def test_stop_across_token_borders(client, stream):
    text = complete(client).choices[0].text
    stop = text[10:22]  # somewhere in the middle: tokens are 1 to 8 characters here
    answer = complete(client, stop=["not there", stop], stream=stream)
    if stream:
        chunks = list(answer)
        got, reason = "".join(c.choices[0].text for c in chunks), chunks[-1].choices[0].finish_reason
    else:
        got, reason = answer.choices[0].text, answer.choices[0].finish_reason
    assert got == text[:10]
    assert reason == "stop"


def test_held_back_text_comes_when_the_stop_string_does_not(client):
    text = complete(client).choices[0].text
    assert complete(client, stop=text[-6:] + "?").choices[0].text == text


def test_seed_decides_the_text(client):
    def draw(seed):
        return complete(client, temperature=1, seed=seed, max_tokens=30).choices[0].text

    assert draw(7) == draw(7)
    assert len({draw(seed) for seed in range(5)}) > 1


def test_without_a_seed_the_text_differs(client):
    assert len({complete(client, temperature=1, max_tokens=30).choices[0].text for _ in range(4)}) > 1


def test_n_choices(client):
    answer = complete(client, n=3, temperature=1, seed=5)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.text for choice in answer.choices}) > 1
    assert answer.usage.completion_tokens == sum(1 for _ in range(3)) * 40
    again = complete(client, n=3, temperature=1, seed=5, stream=True)
    texts = ["", "", ""]
    for chunk in again:
        texts[chunk.choices[0].index] += chunk.choices[0].text
    assert texts == [choice.text for choice in answer.choices]


def test_several_prompts(client):
    answer = complete(client, [PROMPT, "The dog"], max_tokens=10)
    assert answer.choices[0].text == complete(client, max_tokens=10).choices[0].text
    assert answer.choices[1].text == complete(client, "The dog", max_tokens=10).choices[0].text


def test_prompt_of_tokens(engine, client):
    tokens = requests.post(engine.url + "/tokenize", json={"prompt": PROMPT}).json()["tokens"]
    assert complete(client, tokens).choices[0].text == complete(client).choices[0].text


def test_chat_logprobs(client):
    content = chat(client, logprobs=True, top_logprobs=3).choices[0].logprobs.content
    assert len(content) == 20
    for token in content:
        assert token.logprob <= 0
        assert [top.logprob for top in token.top_logprobs] == sorted((t.logprob for t in token.top_logprobs), reverse=True)
        assert token.token == token.top_logprobs[0].token  # greedy
        assert bytes(token.bytes).decode(errors="replace") == token.token


def test_completion_logprobs(client):
    answer = complete(client, logprobs=2).choices[0]
    assert "".join(answer.logprobs.tokens) == answer.text
    assert answer.logprobs.text_offset[:2] == [0, len(answer.logprobs.tokens[0])]
    assert all(len(top) == 2 for top in answer.logprobs.top_logprobs)


def test_logit_bias_bans_and_forces(engine, client):
    tokens = requests.post(engine.url + "/tokenize", json={"prompt": "dog", "add_special_tokens": False}).json()["tokens"]
    forced = complete(client, max_tokens=3, logit_bias={str(tokens[-1]): 100}).choices[0].text
    assert forced == requests.post(engine.url + "/detokenize", json={"tokens": tokens[-1:] * 3}).json()["prompt"]


def test_penalty_changes_the_text(client):
    assert complete(client, frequency_penalty=2).choices[0].text != complete(client).choices[0].text


def test_max_tokens_is_bounded_by_the_context(client):
    answer = complete(client, max_tokens=100000, extra_body={"ignore_eos": True})
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.total_tokens == 512


def test_the_model_ends_its_answer_unless_told_to_go_on(client):
    end = {"2": 100}  # this vocabulary's end of text, made the likeliest
    answer = complete(client, logit_bias=end)
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == ("", "stop")
    answer = complete(client, logit_bias=end, extra_body={"ignore_eos": True})
    assert answer.choices[0].finish_reason == "length" and answer.usage.completion_tokens == 40


def test_embeddings(client):
    def length(vector):
        return sum(x * x for x in vector) ** 0.5

    answer = client.embeddings.create(model="tiny", input=["a dog", "a dog", "rain"], encoding_format="float")
    one, same, other = (item.embedding for item in answer.data)
    assert len(one) == 64 and abs(length(one) - 1) < 1e-3
    assert one == same and one != other
    encoded = client.embeddings.create(model="tiny", input="a dog", encoding_format="base64")
    raw = base64.b64decode(encoded.data[0].embedding)
    assert struct.unpack("<64f", raw) == pytest.approx(one, abs=1e-6)


def test_tokenize_round_trip(engine):
    answer = requests.post(engine.url + "/tokenize", json={"prompt": "Lily went out. Ünï — 猫"}).json()
    assert answer["count"] == len(answer["tokens"]) and answer["max_model_len"] == 512
    text = requests.post(engine.url + "/detokenize", json={"tokens": answer["tokens"]}).json()["prompt"]
    assert text.strip() == "Lily went out. Ünï — 猫"
    chat_tokens = requests.post(engine.url + "/tokenize", json={"messages": [{"role": "user", "content": "hi"}]}).json()
    assert chat_tokens["count"] > 2


def test_generate(engine):
    body = {"prompt": PROMPT, "max_tokens": 30, "temperature": 0}
    whole = requests.post(engine.url + "/generate", json={**body, "stream": False}).json()
    assert "there was" in whole["text"] and whole["finish_reason"] == "length"
    events = requests.post(engine.url + "/generate", json=body).text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    texts = ["\n".join(line.removeprefix("data: ") for line in event.split("\n")) for event in events[:-2]]
    assert "".join(texts) == whole["text"]


@pytest.mark.parametrize(
    "options, param",
    [
        ({"temperature": 3}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"n": 0}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop": [""]}, "stop"),
        ({"extra_body": {"min_tokens": 4}}, "min_tokens"),
    ],
)
def test_bad_parameters(client, options, param):
    with pytest.raises(openai.BadRequestError) as raised:
        complete(client, **options)
    assert raised.value.param == param
    assert raised.value.type == "invalid_request_error"
    assert param in raised.value.message


def test_unknown_model(client):
    with pytest.raises(openai.NotFoundError) as raised:
        client.completions.create(model="other", prompt="x")
    assert raised.value.code == "model_not_found"


def test_prompt_longer_than_the_context(client):
    with pytest.raises(openai.BadRequestError) as raised:
        complete(client, "dog " * 700)
    assert raised.value.code == "context_length_exceeded"
    assert "512" in raised.value.message and "1402 tokens" in raised.value.message
    with pytest.raises(openai.BadRequestError) as raised:
        complete(client, "x" * 5_000_000)
    assert "at least" in raised.value.message


def test_tools_are_refused_not_ignored(client):
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    with pytest.raises(openai.BadRequestError) as raised:
        chat(client, tools=[tool])
    assert raised.value.param == "tools"


def test_wrong_paths_methods_and_bodies(engine):
    assert requests.get(engine.url + "/nothing").status_code == 404
    wrong = requests.get(engine.url + "/v1/completions")
    assert wrong.status_code == 405 and wrong.headers["allow"] == "POST"
    broken = requests.post(engine.url + "/v1/completions", data='{"prompt": ')
    assert broken.status_code == 400 and "line 1" in broken.json()["error"]["message"]


def test_every_chunk_is_valid_utf8_on_its_own(client):
    """Byte tokens, drawn at random, cut characters anywhere."""
    for seed in range(3):
        answer = client.completions.with_raw_response.create(
            model="tiny", prompt="猫", stream=True, temperature=2, seed=seed, max_tokens=200, extra_body={"ignore_eos": True}
        )
        for line in answer.http_response.iter_lines():
            if line.startswith("data: {"):
                assert isinstance(json.loads(line[6:])["choices"][0]["text"], str)


def test_the_same_beginning_is_not_computed_again(client):
    prompt = "Lily and Tom saw a big box near the old tree. They looked inside and found"
    first = complete(client, prompt)
    again = complete(client, prompt)
    assert again.choices[0].text == first.choices[0].text
    assert again.usage.prompt_tokens_details.cached_tokens == first.usage.prompt_tokens - 1


def test_metrics_say_what_happened(engine, client):
    before = engine.metric("inference_requests_total", status="200")
    complete(client)
    assert engine.metric("inference_requests_total", status="200", model_name="tiny") == before + 1
    assert engine.metric("vllm:generation_tokens_total") >= 40
    assert engine.metric("vllm:time_to_first_token_seconds_count") > 0
    assert engine.metric("fairway_engine_slots") == 4
    assert engine.metric("vllm:num_requests_running") == 0


def test_every_metric_is_documented_and_every_documented_one_is_there(engine):
    page = (ROOT / "docs" / "engine.md").read_text().split("## Metrics")[1].split("##")[0]
    documented = {name for row in page.split("\n") for name in re.findall(r"`([a-z_:0-9]+)`", row.split("|")[1] if "|" in row else "")}
    scraped = set(re.findall(r"^# TYPE (\S+)", requests.get(engine.url + "/metrics").text, re.M))
    assert scraped == documented


def test_the_trace_of_the_caller_is_logged_and_the_prompt_is_not(engine):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    requests.post(
        engine.url + "/v1/completions",
        json={"prompt": "a secret in the prompt", "max_tokens": 2},
        headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"},
    )
    assert f"trace_id={trace}" in engine.log_text()
    assert "secret" not in engine.log_text()

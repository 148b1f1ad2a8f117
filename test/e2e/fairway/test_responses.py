# SPDX-License-Identifier: Apache-2.0
"""OpenAI's Responses API, stateless, with the unmodified SDK; and URLs that Fairway passes through."""
import json
import os
import signal
import threading

import openai
import pytest
import requests

from fairway_process import Fairway, wait_for


@pytest.fixture(scope="module")
def fairway():
    with Fairway("--quiet") as f:
        f.serve("tiny", traffic={"aliases": ["small-one"]})
        f.serve("sim", replicas=2, slots=16, profile="decode=100,answer=0")
        f.serve("short", profile="decode=500,answer=8")
        yield f


def chat(fairway, text, **rest):
    return fairway.client().chat.completions.create(model="tiny", messages=[{"role": "user", "content": text}], temperature=0, **rest)


def test_whole(fairway):
    answer = fairway.client().responses.create(model="tiny", input="Once upon a time", temperature=0, max_output_tokens=12,
                                               metadata={"a": "b"})
    same = chat(fairway, "Once upon a time", max_tokens=12)
    assert answer.output_text == same.choices[0].message.content
    assert (answer.object, answer.status, answer.model) == ("response", "incomplete", "tiny")
    assert answer.incomplete_details.reason == "max_output_tokens"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (same.usage.prompt_tokens, 12)
    assert answer.metadata == {"a": "b"} and answer.temperature == 0 and answer.max_output_tokens == 12
    assert answer.id.startswith("resp_") and answer.output[0].id.startswith("msg_")


def test_stream(fairway):
    whole = fairway.client().responses.create(model="tiny", input="Once upon a time", temperature=0, max_output_tokens=12)
    events = list(fairway.client().responses.create(model="small-one", input="Once upon a time", temperature=0,
                                                    max_output_tokens=12, stream=True))
    assert [e.sequence_number for e in events] == list(range(len(events)))
    kinds = [e.type for e in events]
    assert kinds[:4] == ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]
    assert kinds[-4:] == ["response.output_text.done", "response.content_part.done", "response.output_item.done",
                          "response.incomplete"]
    assert set(kinds[4:-4]) == {"response.output_text.delta"}
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    last = events[-1].response
    assert text == whole.output_text == last.output_text and last.usage.output_tokens == 12


def test_stream_helper(fairway):
    with fairway.client().responses.stream(model="short", input="hello", temperature=0) as stream:
        for _ in stream:
            pass
        final = stream.get_final_response()
    assert final.status == "completed" and 0 < final.usage.output_tokens < 256
    assert final.output_text == fairway.client().responses.create(model="short", input="hello", temperature=0).output_text


def test_an_answer_goes_back_as_input(fairway):
    client = fairway.client()
    first = client.responses.create(model="tiny", input="Once", temperature=0, max_output_tokens=8)
    second = client.responses.create(model="tiny", temperature=0, max_output_tokens=8, instructions="Tell a story.",
                                     input=[{"role": "user", "content": "Once"}, *first.output,
                                            {"role": "user", "content": "and then"}])
    same = client.chat.completions.create(model="tiny", temperature=0, max_tokens=8, messages=[
        {"role": "system", "content": "Tell a story."}, {"role": "user", "content": "Once"},
        {"role": "assistant", "content": first.output_text}, {"role": "user", "content": "and then"}])
    assert second.output_text == same.choices[0].message.content


@pytest.mark.parametrize("options, place", [
    ({"previous_response_id": "resp_1"}, "previous_response_id"),
    ({"background": True}, "background"),
    ({"tools": [{"type": "web_search"}]}, "tools[0]"),
])
def test_what_needs_a_store_is_refused(fairway, options, place):
    with pytest.raises(openai.BadRequestError) as e:
        fairway.client().responses.create(model="tiny", input="x", **options)
    assert place in e.value.message


def test_unknown_model(fairway):
    with pytest.raises(openai.NotFoundError) as e:
        fairway.client().responses.create(model="nobody", input="x")
    assert e.value.code == "model_not_found"


def test_a_stream_outlives_its_replica(fairway):
    undisturbed = fairway.client().responses.create(model="sim", input="hello", temperature=0, max_output_tokens=60)
    texts, started = [], threading.Semaphore(0)

    def run():
        text = ""
        for event in fairway.client().responses.create(model="sim", input="hello", temperature=0, max_output_tokens=60, stream=True):
            if event.type == "response.output_text.delta":
                if not text:
                    started.release()
                text += event.delta
        assert event.response.output_text == text
        texts.append(text)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for t in threads:
        t.start()
    for _ in threads:
        assert started.acquire(timeout=30)
    os.kill(fairway.replicas("sim")[0]["pid"], signal.SIGKILL)
    for t in threads:
        t.join(60)
    assert texts == [undisturbed.output_text] * 8
    fairway.ready("sim", 2)


# ---- what Fairway does not know ----

def test_other_urls_go_to_the_model_that_is_named(fairway):
    by_body = requests.post(fairway.url + "/v1/rerank", json={"model": "small-one", "query": "q", "documents": ["d"]})
    by_header = requests.post(fairway.url + "/v1/audio/transcriptions", headers={"x-fairway-model": "tiny"},
                              files={"file": ("a.wav", b"\x00\x01")})
    # fairway-engine has neither; that it is the engine that says so shows in the records.
    assert by_body.status_code == by_header.status_code == 404
    shown = {r["id"]: r for r in json.loads(fairway.cli("top", "-o", "json", "--lines", "50").stdout)["requests"]}
    for answer in (by_body, by_header):
        record = shown[answer.headers["x-request-id"]]
        assert record["model"] == "tiny" and record["attempts"][0]["status"] == 404
        assert record["usage"]["inputTokens"] == record["usage"]["outputTokens"] == 0
    assert requests.post(fairway.url + "/v1/rerank", json={"model": "nobody"}).json()["error"]["code"] == "model_not_found"
    assert requests.post(fairway.url + "/v1/rerank", json={}).json()["error"]["code"] == "missing_model"
    assert requests.get(fairway.url + "/v1/rerank").status_code == 404

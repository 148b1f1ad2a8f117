# SPDX-License-Identifier: Apache-2.0
"""An answer taken up in the middle: what the chunks' field `fairway` says is enough to go on, to the byte."""
import json

import pytest
import requests

PLAIN = {"max_tokens": 40, "temperature": 0}
DRAWN = {"max_tokens": 60, "temperature": 1, "seed": 7}
CASES = {
    "greedy": PLAIN,
    "seeded": DRAWN,
    "random": {"max_tokens": 50, "temperature": 1},
    "penalties": {**DRAWN, "frequency_penalty": 1.5, "presence_penalty": 0.5},
    "stop": {**PLAIN, "stop": ["not there", "girl named L", " a"]},
    "stop held": {**DRAWN, "stop": ["Lily and her friend who never"]},
    "characters": {"max_tokens": 80, "temperature": 2, "seed": 11, "ignore_eos": True},
    "usage": {**DRAWN, "stream_options": {"include_usage": True}},
}


def events(engine, path, body):
    answer = requests.post(engine.url + path, json={**body, "stream": True}, headers={"x-fairway-progress": "1"}, stream=True)
    assert answer.status_code == 200, answer.text
    lines = [line for line in answer.iter_lines() if line]
    assert lines[-1] == b"data: [DONE]"
    return [json.loads(line.removeprefix(b"data: ")) for line in lines[:-1]]


def text_of(chunk):
    choice = chunk["choices"][0] if chunk["choices"] else {}
    return choice.get("text", choice.get("delta", {}).get("content", "")) or ""


def resume_behind(chunks):
    """What a gateway would send after it has these chunks."""
    first, marks = chunks[0]["fairway"], [c["fairway"] for c in chunks]
    return {"id": first["id"], "created": first["created"], "seed": first["seed"], "shown": marks[-1]["shown"],
            "token_ids": [t for m in marks for t in m["token_ids"]]}


@pytest.mark.parametrize("path, prompt", [("/v1/completions", {"prompt": "Once upon a time 猫"}),
                                          ("/v1/chat/completions", {"messages": [{"role": "user", "content": "A story"}]})])
@pytest.mark.parametrize("case", CASES)
def test_resumed_anywhere_it_is_the_same_answer(engine, path, prompt, case):
    body = {"model": "tiny", **prompt, **CASES[case]}
    whole = events(engine, path, body)
    chunks = [c for c in whole if c["choices"]]
    for cut in range(1, len(chunks)):
        rest = events(engine, path, {**body, "fairway_resume": resume_behind(chunks[:cut])})
        assert "".join(map(text_of, rest)) == "".join(map(text_of, chunks[cut:])), cut
        parts = [c for c in rest if c["choices"]]
        assert parts[-1]["choices"][0]["finish_reason"] == chunks[-1]["choices"][0]["finish_reason"]
        assert {c["id"] for c in rest} == {whole[0]["id"]} and {c["created"] for c in rest} == {whole[0]["created"]}
        assert all("role" not in c["choices"][0].get("delta", {}) for c in parts)
        ids = [t for c in parts for t in c["fairway"]["token_ids"]]
        assert ids == [t for c in chunks[cut:] for t in c["fairway"]["token_ids"]]
        assert parts[-1]["fairway"]["shown"] == chunks[-1]["fairway"]["shown"]
        if "stream_options" in body:
            for key in ("prompt_tokens", "completion_tokens"):
                assert rest[-1]["usage"][key] == whole[-1]["usage"][key]


def test_nobody_who_did_not_ask_sees_it(client):
    for chunk in client.completions.create(model="tiny", prompt="a", max_tokens=5, stream=True):
        assert "fairway" not in chunk.model_extra


@pytest.mark.parametrize("resume, words", [
    ({"id": "x", "created": 1, "seed": 1, "shown": 0}, "token_ids"),
    ({"id": "x", "created": 1, "shown": 0, "token_ids": []}, "seed"),
    ({"id": "x", "created": 1, "seed": 1, "shown": -1, "token_ids": []}, "shown"),
    ({"id": "x", "created": 1, "seed": 1, "shown": 0, "token_ids": [-1]}, "token_ids"),
    ({"id": "x", "created": 1, "seed": 1, "shown": 0, "token_ids": [5, 6, 7]}, "nothing to resume"),
    ([], "id"),
])
def test_a_wrong_resume_is_refused(engine, resume, words):
    body = {"model": "tiny", "prompt": "a", "max_tokens": 3, "stream": True, "fairway_resume": resume}
    answer = requests.post(engine.url + "/v1/completions", json=body)
    assert answer.status_code == 400 and words in answer.json()["error"]["message"]
    whole = requests.post(engine.url + "/v1/completions", json={**body, "stream": False})
    assert whole.status_code == 400

# SPDX-License-Identifier: Apache-2.0
"""One Python client (its name is the argument) over all features that it has: prints {feature: true or what went wrong}."""
import json
import os
import ssl
import sys
import traceback

import httpx

URL, KEY, CA = (os.environ[f"CLIENT_{what}"] for what in ("URL", "KEY", "CA"))
ASK = [{"role": "user", "content": "Once upon a time"}]
FEATURES = {}


def feature(name):
    def keep(function):
        FEATURES[name] = function
        return function
    return keep


def http(http2=False):
    context = ssl.create_default_context(cafile=CA) if URL.startswith("https") else True
    return httpx.Client(http2=http2, verify=context, timeout=60)


def raises(kind, function, **attributes):
    try:
        function()
    except kind as e:
        for name, value in attributes.items():
            assert getattr(e, name) == value, f"{name} is {getattr(e, name)}"
        return
    raise AssertionError(f"{kind.__name__} was not raised")


def openai_features(http2):
    import openai

    def make(key=KEY):
        return openai.OpenAI(base_url=URL + "/v1", api_key=key, max_retries=0, http_client=http(http2))

    client = make()

    @feature("models")
    def _():
        assert "tiny" in [m.id for m in client.models.list()]

    @feature("chat")
    def _():
        answer = client.chat.completions.create(model="tiny", messages=ASK, max_tokens=8)
        assert answer.choices[0].message.content and answer.usage.completion_tokens == 8

    @feature("chat, stream")
    def _():
        chunks = list(client.chat.completions.create(model="tiny", messages=ASK, max_tokens=8, stream=True,
                                                     stream_options={"include_usage": True}))
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert chunks[-1].usage.completion_tokens == 8

    @feature("completions")
    def _():
        assert client.completions.create(model="tiny", prompt="Once", max_tokens=5).choices[0].text

    @feature("responses")
    def _():
        assert client.responses.create(model="tiny", input="Once", max_output_tokens=8).output_text

    @feature("responses, stream")
    def _():
        events = list(client.responses.create(model="tiny", input="Once", max_output_tokens=8, stream=True))
        assert events[-1].response.usage.output_tokens == 8

    @feature("alias")
    def _():
        assert client.chat.completions.create(model="small-one", messages=ASK, max_tokens=2).model == "tiny"

    @feature("unknown model")
    def _():
        raises(openai.NotFoundError, lambda: client.chat.completions.create(model="nobody", messages=ASK),
               code="model_not_found")

    @feature("wrong key")
    def _():
        raises(openai.AuthenticationError, lambda: make("wrong").models.list(), code="invalid_api_key")

    @feature("limit")
    def _():
        limited = make(os.environ["CLIENT_LIMITED_KEY"])
        limited.chat.completions.create(model="tiny", messages=ASK, max_tokens=2)
        raises(openai.RateLimitError, lambda: [limited.chat.completions.create(model="tiny", messages=ASK, max_tokens=2)
                                               for _ in range(3)], code="rate_limit_exceeded")

    @feature("leaving a stream")
    def _():
        with client.chat.completions.create(model="tiny", messages=ASK, max_tokens=400, stream=True) as stream:
            next(iter(stream))
        assert client.chat.completions.create(model="tiny", messages=ASK, max_tokens=2).choices


def anthropic_features():
    import anthropic

    def make(key=KEY):
        return anthropic.Anthropic(base_url=URL, api_key=key, max_retries=0)

    client = make()

    @feature("chat")
    def _():
        answer = client.messages.create(model="tiny", messages=ASK, max_tokens=8)
        assert answer.content[0].text and answer.usage.output_tokens == 8

    @feature("chat, stream")
    def _():
        with client.messages.stream(model="tiny", messages=ASK, max_tokens=8) as stream:
            assert "".join(stream.text_stream)
            assert stream.get_final_message().usage.output_tokens == 8

    @feature("count of tokens")
    def _():
        assert client.messages.count_tokens(model="tiny", messages=ASK).input_tokens > 0

    @feature("alias")
    def _():
        assert client.messages.create(model="small-one", messages=ASK, max_tokens=2).model == "tiny"

    @feature("unknown model")
    def _():
        raises(anthropic.NotFoundError, lambda: client.messages.create(model="nobody", messages=ASK, max_tokens=2))

    @feature("wrong key")
    def _():
        raises(anthropic.AuthenticationError, lambda: make("wrong").messages.create(model="tiny", messages=ASK, max_tokens=2))

    @feature("limit")
    def _():
        limited = make(os.environ["CLIENT_LIMITED_KEY"])
        limited.messages.create(model="tiny", messages=ASK, max_tokens=2)
        raises(anthropic.RateLimitError, lambda: [limited.messages.create(model="tiny", messages=ASK, max_tokens=2)
                                                  for _ in range(3)])

    @feature("leaving a stream")
    def _():
        with client.messages.create(model="tiny", messages=ASK, max_tokens=400, stream=True) as stream:
            next(iter(stream))


def langchain_features(make, wrong):
    model = make("tiny", KEY)

    @feature("chat")
    def _():
        assert model.invoke("Once upon a time").usage_metadata["output_tokens"] == 8

    @feature("chat, stream")
    def _():
        assert "".join(str(c.text) for c in model.stream("Once upon a time"))

    @feature("batch")
    def _():
        assert len(model.batch(["Once", "upon", "a time"])) == 3

    @feature("alias")
    def _():
        assert make("small-one", KEY).invoke("Once").content

    @feature("unknown model")
    def _():
        raises(wrong.NotFoundError, lambda: make("nobody", KEY).invoke("Once"))

    @feature("wrong key")
    def _():
        raises(wrong.AuthenticationError, lambda: make("tiny", "wrong").invoke("Once"))


def langchain_openai_features():
    import openai
    from langchain_openai import ChatOpenAI

    def make(model, key, **rest):
        return ChatOpenAI(model=model, api_key=key, base_url=URL + "/v1", max_tokens=8, max_retries=0, http_client=http(),
                          stream_usage=True, **rest)

    langchain_features(make, openai)

    @feature("responses")
    def _():
        assert make("tiny", KEY, use_responses_api=True).invoke("Once").usage_metadata["output_tokens"] == 8

    @feature("responses, stream")
    def _():
        assert "".join(str(c.text) for c in make("tiny", KEY, use_responses_api=True).stream("Once"))


def langchain_anthropic_features():
    import anthropic
    from langchain_anthropic import ChatAnthropic
    os.environ["SSL_CERT_FILE"] = CA
    langchain_features(lambda model, key: ChatAnthropic(model=model, api_key=key, base_url=URL, max_tokens=8, max_retries=0),
                       anthropic)


CLIENTS = {
    "openai": lambda: openai_features(False),
    "openai-h2": lambda: openai_features(True),
    "anthropic": anthropic_features,
    "langchain-openai": langchain_openai_features,
    "langchain-anthropic": langchain_anthropic_features,
}

CLIENTS[sys.argv[1]]()
found = {}
for name, function in FEATURES.items():
    try:
        function()
        found[name] = True
    except Exception as e:
        traceback.print_exc()
        found[name] = f"{type(e).__name__}: {e}"
print(json.dumps(found))

// SPDX-License-Identifier: Apache-2.0
// The SDKs for Node (openai or anthropic is the argument): prints {feature: true or what went wrong}.
import assert from "node:assert";
import OpenAI from "openai";
import Anthropic from "@anthropic-ai/sdk";

const { CLIENT_URL: url, CLIENT_KEY: key, CLIENT_LIMITED_KEY: limitedKey } = process.env;
const ask = [{ role: "user", content: "Once upon a time" }];

function openai() {
  const make = (apiKey) => new OpenAI({ baseURL: url + "/v1", apiKey, maxRetries: 0 });
  const client = make(key);
  const chat = (options, c = client) => c.chat.completions.create({ model: "tiny", messages: ask, max_tokens: 8, ...options });
  return {
    models: async () => assert((await client.models.list()).data.some((m) => m.id === "tiny")),
    chat: async () => {
      const answer = await chat({});
      assert(answer.choices[0].message.content && answer.usage.completion_tokens === 8);
    },
    "chat, stream": async () => {
      let text = "", usage;
      for await (const chunk of await chat({ stream: true, stream_options: { include_usage: true } })) {
        text += chunk.choices[0]?.delta.content ?? "";
        usage = chunk.usage ?? usage;
      }
      assert(text && usage.completion_tokens === 8);
    },
    completions: async () => assert((await client.completions.create({ model: "tiny", prompt: "Once", max_tokens: 5 })).choices[0].text),
    responses: async () => assert((await client.responses.create({ model: "tiny", input: "Once", max_output_tokens: 8 })).output_text),
    "responses, stream": async () => {
      let last;
      for await (const event of await client.responses.create({ model: "tiny", input: "Once", max_output_tokens: 8, stream: true }))
        last = event;
      assert.equal(last.response.usage.output_tokens, 8);
    },
    alias: async () => assert.equal((await chat({ model: "small-one" })).model, "tiny"),
    "unknown model": () => assert.rejects(chat({ model: "nobody" }), { status: 404, code: "model_not_found" }),
    "wrong key": () => assert.rejects(make("wrong").models.list(), { status: 401, code: "invalid_api_key" }),
    limit: async () => {
      const limited = make(limitedKey);
      await chat({}, limited);
      await assert.rejects((async () => { for (let i = 0; i < 3; i++) await chat({}, limited); })(), { status: 429 });
    },
    "leaving a stream": async () => {
      const stream = await chat({ stream: true, max_tokens: 400 });
      for await (const _ of stream) break;
      assert((await chat({})).choices.length);
    },
  };
}

function anthropic() {
  const make = (apiKey) => new Anthropic({ baseURL: url, apiKey, maxRetries: 0 });
  const client = make(key);
  const chat = (options, c = client) => c.messages.create({ model: "tiny", messages: ask, max_tokens: 8, ...options });
  return {
    chat: async () => assert.equal((await chat({})).usage.output_tokens, 8),
    "chat, stream": async () => {
      const message = await client.messages.stream({ model: "tiny", messages: ask, max_tokens: 8 }).finalMessage();
      assert(message.content[0].text && message.usage.output_tokens === 8);
    },
    "count of tokens": async () => assert((await client.messages.countTokens({ model: "tiny", messages: ask })).input_tokens > 0),
    alias: async () => assert.equal((await chat({ model: "small-one" })).model, "tiny"),
    "unknown model": () => assert.rejects(chat({ model: "nobody" }), { status: 404 }),
    "wrong key": () => assert.rejects(chat({}, make("wrong")), { status: 401 }),
    limit: async () => {
      const limited = make(limitedKey);
      await chat({}, limited);
      await assert.rejects((async () => { for (let i = 0; i < 3; i++) await chat({}, limited); })(), { status: 429 });
    },
    "leaving a stream": async () => {
      for await (const _ of await chat({ stream: true, max_tokens: 400 })) break;
      assert((await chat({})).content.length);
    },
  };
}

const found = {};
for (const [name, run] of Object.entries(process.argv[2] === "openai" ? openai() : anthropic())) {
  try {
    await run();
    found[name] = true;
  } catch (e) {
    console.error(name, e);
    found[name] = String(e);
  }
}
console.log(JSON.stringify(found));

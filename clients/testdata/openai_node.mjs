// Talks with an agent through openai-node. Prints "ok <step>" for each step.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { AGENT, FRAIL_TOKEN, FRAIL_URL, SILENT, TOKEN, URL, give, ok } from "./around.mjs";

const hi = [{ role: "user", content: "Tell me about rain." }];
const client = new OpenAI({ baseURL: URL + "/v1", apiKey: TOKEN });
const chat = client.chat.completions;

const refused = (kind, status, code, call) =>
  assert.rejects(call, (e) => {
    assert.equal(e.constructor, kind);
    assert.equal(e.status, status);
    assert.equal(e.code, code);
    assert.ok(e.message);
    return true;
  });

const models = [];
for await (const m of client.models.list()) models.push(m.id);
assert.ok(models.includes(AGENT), models);
assert.equal((await client.models.retrieve(AGENT)).id, AGENT);
ok("models");

const whole = await chat.create({ model: AGENT, messages: hi });
assert.ok(whole.choices[0].message.content);
assert.equal(whole.choices[0].message.role, "assistant");
assert.equal(whole.choices[0].finish_reason, "stop");
assert.ok(whole.usage.completion_tokens > 0);
assert.equal(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens);
ok("chat");

const chunks = [];
for await (const c of await chat.create({ model: AGENT, messages: hi, stream: true, stream_options: { include_usage: true } })) chunks.push(c);
assert.ok(chunks.map((c) => c.choices[0]?.delta.content ?? "").join(""));
assert.equal(new Set(chunks.map((c) => c.id)).size, 1);
assert.equal(chunks.at(-2).choices[0].finish_reason, "stop");
assert.deepEqual(chunks.flatMap((c, i) => (c.usage ? [i] : [])), [chunks.length - 1], "usage once, at the end");
assert.ok(chunks.at(-1).usage.completion_tokens > 0);
assert.equal(chunks.at(-1).choices.length, 0);
const final = await chat.stream({ model: AGENT, messages: hi, stream_options: { include_usage: true } }).finalChatCompletion();
assert.ok(final.choices[0].message.content && final.usage.total_tokens > 0);
ok("stream");

await refused(OpenAI.NotFoundError, 404, "model_not_found", () => chat.create({ model: "agent/nobody-is-called-so", messages: hi }));
await refused(OpenAI.NotFoundError, 404, "model_not_found", () => client.models.retrieve("agent/nobody-is-called-so"));
await refused(OpenAI.AuthenticationError, 401, "invalid_api_key", () => client.withOptions({ apiKey: "wrong" }).chat.completions.create({ model: AGENT, messages: hi }));
await refused(OpenAI.BadRequestError, 400, "invalid_value", () => chat.create({ model: AGENT, messages: [] }));
await refused(OpenAI.BadRequestError, 400, "invalid_value", () => chat.create({ model: AGENT, messages: hi, n: 2 }));
await refused(OpenAI.BadRequestError, 400, "unsupported_value", () => chat.create({ model: AGENT, messages: hi, response_format: { type: "json_object" } }));
await refused(OpenAI.ConflictError, 409, "agent_silenced", () => chat.create({ model: SILENT, messages: hi }));
ok("refusals");

const frail = new OpenAI({ baseURL: FRAIL_URL + "/v1", apiKey: FRAIL_TOKEN, maxRetries: 0 });
let text = "";
await assert.rejects(
  async () => {
    for await (const c of await frail.chat.completions.create({ model: AGENT, messages: hi, stream: true })) text += c.choices[0].delta.content ?? "";
  },
  (e) => e instanceof OpenAI.APIError && e.code === "model_stream_broken",
);
assert.ok(text);
await refused(OpenAI.InternalServerError, 502, "model_stream_broken", () => frail.chat.completions.create({ model: AGENT, messages: hi }));
ok("broken");

await give("up", whole.id);
await give("down", chunks[0].id);
ok("feedback");

const session = async (name) => {
  const { response } = await chat.create({ model: AGENT, messages: hi }, { headers: { "x-session-id": name } }).withResponse();
  return response.headers.get("x-session-id");
};
const one = await session("node one");
assert.ok(one);
assert.equal(await session("node one"), one);
assert.notEqual(await session("node two"), one);
ok("session");

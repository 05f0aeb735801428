// Talks with an agent through LangChain. It has no list of models. Prints
// "ok <step>" for each step.
import assert from "node:assert/strict";
import { ChatOpenAI } from "@langchain/openai";
import { AGENT, FRAIL_TOKEN, FRAIL_URL, SILENT, TOKEN, URL, decision, give, ok } from "./around.mjs";

const hi = [["system", "You help on a page about weather."], ["human", "Tell me about rain."]];
const model = (change = {}, headers = {}) =>
  new ChatOpenAI({ model: AGENT, apiKey: TOKEN, configuration: { baseURL: URL + "/v1", defaultHeaders: headers }, ...change });

const refused = (name, status, code, call) =>
  assert.rejects(call, (e) => {
    assert.equal(e.constructor.name, name);
    assert.equal(e.status, status);
    assert.equal(e.code, code);
    return true;
  });

const whole = await model().invoke(hi);
assert.ok(whole.text);
assert.ok(whole.usage_metadata.output_tokens > 0);
assert.equal(whole.response_metadata.finish_reason, "stop");
ok("chat");

let sum;
let pieces = 0;
for await (const piece of await model({ streamUsage: true }).stream(hi)) {
  sum = sum ? sum.concat(piece) : piece; // adds usages up
  pieces++;
}
assert.ok(pieces > 3 && sum.text);
const { usage_metadata } = sum;
assert.ok(usage_metadata.output_tokens > 0);
assert.equal(usage_metadata.total_tokens, usage_metadata.input_tokens + usage_metadata.output_tokens);
assert.equal(usage_metadata.total_tokens, sum.response_metadata.usage.total_tokens, "usage was counted twice");
ok("stream");

await refused("NotFoundError", 404, "model_not_found", () => model({ model: "agent/nobody-is-called-so" }).invoke(hi));
await refused("AuthenticationError", 401, "invalid_api_key", () => model({ apiKey: "wrong" }).invoke(hi));
await refused("BadRequestError", 400, "invalid_value", () => model().invoke([]));
await refused("BadRequestError", 400, "invalid_value", () => model({ n: 2 }).invoke(hi));
await refused("BadRequestError", 400, "unsupported_value", () => model().invoke(hi, { response_format: { type: "json_object" } }));
assert.ok((await model({ temperature: 2, stop: ["\nUser:"], presencePenalty: 1 }).invoke(hi)).text);
await refused("ConflictError", 409, "agent_silenced", () => model({ model: SILENT }).invoke(hi));
ok("refusals");

const frail = new ChatOpenAI({ model: AGENT, apiKey: FRAIL_TOKEN, maxRetries: 0, configuration: { baseURL: FRAIL_URL + "/v1" } });
let text = "";
await assert.rejects(
  async () => {
    for await (const piece of await frail.stream(hi)) text += piece.text;
  },
  (e) => e.code === "model_stream_broken",
);
assert.ok(text);
await refused("InternalServerError", 502, "model_stream_broken", () => frail.invoke(hi));
ok("broken");

await give("up", whole.id);
await give("down", sum.id);
ok("feedback");

const session = async (name) => (await decision((await model({}, { "x-session-id": name }).invoke(hi)).id)).sessionId;
const one = await session("langchain one");
assert.ok(one);
assert.equal(await session("langchain one"), one);
assert.notEqual(await session("langchain two"), one);
ok("session");

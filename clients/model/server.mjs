// Serves one GGUF file over the OpenAI chat dialect with llama.cpp, on one
// thread: node server.mjs MODEL.gguf. Prints "listening on URL", then a line of
// numbers for each answer. For tests: one answer at a time, no key.
import http from "node:http";
import { LlamaChat, getLlama } from "node-llama-cpp";

const name = "smollm2-135m-instruct";
const llama = await getLlama({ gpu: false, build: "never", maxThreads: 1, logLevel: "error" });
const model = await llama.loadModel({ modelPath: process.argv[2] });
const context = await model.createContext({ contextSize: 4096, threads: 1 });
const chat = new LlamaChat({ contextSequence: context.getSequence() });
let turn = Promise.resolve();

const history = (messages) =>
  messages.map((m) => {
    const text = typeof m.content === "string" ? m.content : m.content.map((p) => p.text).join("");
    if (m.role === "assistant") return { type: "model", response: [text] };
    return { type: m.role === "user" ? "user" : "system", text };
  });

async function answer(ask, stopped, emit) {
  const begin = performance.now();
  const before = chat.sequence.tokenMeter.getState();
  const r = await chat.generateResponse([...history(ask.messages), { type: "model", response: [] }], {
    maxTokens: ask.max_completion_tokens ?? ask.max_tokens ?? 512,
    temperature: ask.temperature ?? 0,
    topP: ask.top_p ?? 1,
    seed: ask.seed ?? 1,
    signal: stopped,
    stopOnAbortSignal: true,
    onTextChunk: emit,
  });
  const used = chat.sequence.tokenMeter.diff(before);
  const finish = r.metadata.stopReason === "maxTokens" ? "length" : "stop";
  const words = r.response.split(/\s+/).filter(Boolean).length;
  console.log(JSON.stringify({ finish, words, tokens: used.usedOutputTokens, milliseconds: Math.round(performance.now() - begin) }));
  return { text: r.response, finish, usage: { prompt_tokens: used.usedInputTokens, completion_tokens: used.usedOutputTokens, total_tokens: used.usedInputTokens + used.usedOutputTokens } };
}

async function complete(ask, res) {
  const head = { id: "chatcmpl-" + process.hrtime.bigint(), created: Math.floor(Date.now() / 1000), model: name };
  const gone = new AbortController();
  res.on("close", () => gone.abort());
  if (!ask.stream) {
    const a = await answer(ask, gone.signal, () => {});
    res.setHeader("Content-Type", "application/json");
    res.end(JSON.stringify({ ...head, object: "chat.completion", choices: [{ index: 0, finish_reason: a.finish, message: { role: "assistant", content: a.text } }], usage: a.usage }));
    return;
  }
  res.setHeader("Content-Type", "text/event-stream");
  const send = (chunk) => res.write("data: " + JSON.stringify({ ...head, object: "chat.completion.chunk", ...chunk }) + "\n\n");
  send({ choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }] });
  const a = await answer(ask, gone.signal, (content) => send({ choices: [{ index: 0, delta: { content }, finish_reason: null }] }));
  send({ choices: [{ index: 0, delta: {}, finish_reason: a.finish }] });
  if (ask.stream_options?.include_usage) send({ choices: [], usage: a.usage });
  res.end("data: [DONE]\n\n");
}

const server = http.createServer(async (req, res) => {
  if (req.method === "GET" && req.url === "/v1/models") {
    res.setHeader("Content-Type", "application/json");
    res.end(JSON.stringify({ object: "list", data: [{ id: name, object: "model", owned_by: "huggingface" }] }));
    return;
  }
  if (req.method !== "POST" || req.url !== "/v1/chat/completions") {
    res.writeHead(404).end();
    return;
  }
  let body = "";
  for await (const part of req) body += part;
  turn = turn.then(() => complete(JSON.parse(body), res)).catch((e) => {
    console.error(String(e));
    if (!res.headersSent) res.writeHead(500, { "Content-Type": "application/json" });
    res.end(JSON.stringify({ error: { message: "the model failed", type: "server_error" } }));
  });
});
server.listen(0, "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
process.stdin.on("end", () => process.exit(0)).resume(); // ends with the test that started it

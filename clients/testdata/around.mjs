// What the scripts get from the test, and what no client library does for them.
import assert from "node:assert/strict";

export const { AGENT, FRAIL_TOKEN, FRAIL_URL, SILENT, TOKEN, URL } = process.env;

export const ok = (step) => console.log("ok " + step);

const ask = async (method, path, body) => {
  const answer = await fetch(URL + path, {
    method,
    headers: { authorization: "Bearer " + TOKEN, "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer.json();
};

// give gives a thumb on an answer, by the id that the answer came with.
export const give = async (value, id) => {
  const receipt = await ask("POST", "/v1/feedback", { kind: "thumb", value, decisionId: id });
  assert.equal(receipt.status, "stored");
};

export const decision = (id) => ask("GET", "/v1/decisions/" + id);

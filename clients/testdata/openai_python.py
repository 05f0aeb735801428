"""Talks with an agent through openai-python. Prints "ok <step>" for each step."""

import os

import openai

agent = os.environ["AGENT"]
hi = [{"role": "user", "content": "Tell me about rain."}]
client = openai.OpenAI(base_url=os.environ["URL"] + "/v1", api_key=os.environ["TOKEN"])
chat = client.chat.completions


def ok(step):
    print("ok", step, flush=True)


def refused(kind, status, code, call):
    try:
        call()
    except openai.APIStatusError as e:
        assert type(e) is kind and e.status_code == status and e.code == code and str(e), repr(e)
    else:
        raise AssertionError(f"expected {kind.__name__}")


assert agent in [m.id for m in client.models.list()]
assert client.models.retrieve(agent).id == agent
ok("models")

whole = chat.create(model=agent, messages=hi)
assert whole.choices[0].message.content and whole.choices[0].message.role == "assistant", whole
assert whole.choices[0].finish_reason == "stop" and whole.object == "chat.completion", whole
assert whole.usage.completion_tokens > 0 and whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens, whole
ok("chat")

chunks = list(chat.create(model=agent, messages=hi, stream=True, stream_options={"include_usage": True}))
assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
assert {c.id for c in chunks} == {chunks[0].id}
assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
assert [bool(c.usage) for c in chunks] == [False] * (len(chunks) - 1) + [True], "usage once, at the end"
assert chunks[-1].usage.completion_tokens > 0 and not chunks[-1].choices
with chat.stream(model=agent, messages=hi, stream_options={"include_usage": True}) as stream:
    for _ in stream:
        pass
    final = stream.get_final_completion()
assert final.choices[0].message.content and final.usage.total_tokens > 0
ok("stream")

refused(openai.NotFoundError, 404, "model_not_found", lambda: chat.create(model="agent/nobody-is-called-so", messages=hi))
refused(openai.NotFoundError, 404, "model_not_found", lambda: client.models.retrieve("agent/nobody-is-called-so"))
refused(openai.AuthenticationError, 401, "invalid_api_key", lambda: client.with_options(api_key="wrong").chat.completions.create(model=agent, messages=hi))
refused(openai.BadRequestError, 400, "invalid_value", lambda: chat.create(model=agent, messages=[]))
refused(openai.BadRequestError, 400, "invalid_value", lambda: chat.create(model=agent, messages=hi, n=2))
refused(openai.BadRequestError, 400, "unsupported_value", lambda: chat.create(model=agent, messages=hi, response_format={"type": "json_object"}))
picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
refused(openai.BadRequestError, 400, "unsupported_value", lambda: chat.create(model=agent, messages=[{"role": "user", "content": [picture]}]))
assert chat.create(model=agent, messages=[{"role": "user", "content": [picture, {"type": "text", "text": "What is it?"}]}], stop=["\nUser:"], temperature=1.5, seed=7).choices[0].message.content
refused(openai.ConflictError, 409, "agent_silenced", lambda: chat.create(model=os.environ["SILENT"], messages=hi))
ok("refusals")

frail = openai.OpenAI(base_url=os.environ["FRAIL_URL"] + "/v1", api_key=os.environ["FRAIL_TOKEN"], max_retries=0)
text = ""
try:
    for chunk in frail.chat.completions.create(model=agent, messages=hi, stream=True):
        text += chunk.choices[0].delta.content or ""
except openai.APIError as e:
    assert text and e.code == "model_stream_broken", (text, e)
else:
    raise AssertionError("a broken answer looked whole")
refused(openai.InternalServerError, 502, "model_stream_broken", lambda: frail.chat.completions.create(model=agent, messages=hi))
ok("broken")

feedback = client.post("/feedback", body={"kind": "thumb", "value": "up", "decisionId": whole.id}, cast_to=object)
assert feedback["status"] == "stored", feedback
feedback = client.post("/feedback", body={"kind": "thumb", "value": "down", "decisionId": chunks[0].id}, cast_to=object)
assert feedback["status"] == "stored", feedback
ok("feedback")


def session(name):
    return chat.with_raw_response.create(model=agent, messages=hi, extra_headers={"x-session-id": name}).headers["x-session-id"]


assert session("python one") == session("python one") != session("python two")
ok("session")

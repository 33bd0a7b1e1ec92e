"""Scenarios of the official OpenAI SDK for Python; a failing one ends the program."""

import asyncio
import json
import os

import openai
from pydantic import BaseModel

CONNECTION = {"base_url": os.environ["LATCHKEY_URL"], "api_key": os.environ["LATCHKEY_KEY"], "max_retries": 0}
QUESTION = [{"role": "user", "content": "Say hello"}]
MODELS = ["openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash"]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}

client = openai.OpenAI(**CONNECTION)


class City(BaseModel):
    name: str


def chats(model):
    answer = client.chat.completions.create(model=model, messages=QUESTION)
    assert answer.choices[0].message.content == "Hello there"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == 11


def streams(model):
    options = {"model": model, "messages": QUESTION, "stream": True, "stream_options": {"include_usage": True}}
    chunks = list(client.chat.completions.create(**options))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "Hello there"
    assert chunks[-1].usage.total_tokens == 11


def calls_tools():
    answer = client.chat.completions.create(model="sandbox/tools", messages=QUESTION, tools=[WEATHER])
    call = answer.choices[0].message.tool_calls[0]
    assert call.function.name == "get_weather"
    assert isinstance(json.loads(call.function.arguments)["city"], str)


def parses():
    answer = client.chat.completions.parse(model="sandbox/json", messages=QUESTION, response_format=City)
    assert isinstance(answer.choices[0].message.parsed, City)


def lists_models():
    assert {model.id for model in client.models.list()} >= set(MODELS)


def raises():
    expected = {
        openai.NotFoundError: (client, "no-such-model"),
        openai.RateLimitError: (client, "sandbox/status-429"),
        openai.AuthenticationError: (client.with_options(api_key="lk-wrong"), MODELS[0]),
    }
    for kind, (asking, model) in expected.items():
        try:
            asking.chat.completions.create(model=model, messages=QUESTION)
        except kind as error:
            assert error.code, f"{kind.__name__} without a code"
        else:
            raise AssertionError(f"no {kind.__name__}")


def notices_a_cut_stream():
    try:
        for _ in client.chat.completions.create(model="sandbox/cut-3", messages=QUESTION, stream=True):
            pass
    except openai.APIError:
        return
    raise AssertionError("a cut stream looked finished")


def streams_asynchronously():
    async def text():
        async with openai.AsyncOpenAI(**CONNECTION) as asking:
            chunks = await asking.chat.completions.create(model=MODELS[1], messages=QUESTION, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks if chunk.choices])

    assert asyncio.run(text()) == "Hello there"


scenarios = [lambda model=model: chats(model) for model in MODELS]
scenarios += [lambda model=model: streams(model) for model in MODELS]
scenarios += [calls_tools, parses, lists_models, raises, notices_a_cut_stream, streams_asynchronously]
for scenario in scenarios:
    scenario()
print(f"{len(scenarios)} scenarios passed")

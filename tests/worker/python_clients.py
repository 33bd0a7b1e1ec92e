"""Scenarios of Anthropic's, Google's and AWS's SDKs for Python, and of LangChain; a failing one ends the program."""

import os
import sys

URL = os.environ["LATCHKEY_URL"]
KEY = os.environ["LATCHKEY_KEY"]
MODELS = ["openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash"]
COUNTRY = {"type": "object", "properties": {"country": {"type": "string"}}, "required": ["country"]}


def anthropic_scenarios():
    import anthropic

    client = anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0)
    question = {"max_tokens": 100, "messages": [{"role": "user", "content": "Say hello"}]}

    def speaks(model):
        answer = client.messages.create(model=model, **question)
        assert answer.content[0].text == "Hello there"
        with client.messages.stream(model=model, **question) as stream:
            assert "".join(stream.text_stream) == "Hello there"
            assert stream.get_final_message().usage.output_tokens == 2

    def runs_tools():
        asked = []

        @anthropic.beta_tool
        def get_city(country: str) -> str:
            """The city of a country."""
            asked.append(country)
            return "Paris"

        runner = client.beta.messages.tool_runner(model="sandbox/tools", tools=[get_city], **question)
        assert runner.until_done().stop_reason == "end_turn"
        assert len(asked) == 1

    def lists_and_raises():
        assert MODELS[1] in {model.id for model in client.models.list()}
        assert client.messages.count_tokens(model=MODELS[0], messages=question["messages"]).input_tokens > 0
        try:
            client.messages.create(model="sandbox/status-400", **question)
        except anthropic.BadRequestError as error:
            assert error.body["error"]["type"] == "invalid_request_error"
        else:
            raise AssertionError("no BadRequestError")

    return [lambda model=model: speaks(model) for model in MODELS] + [runs_tools, lists_and_raises]


def google_scenarios():
    from google import genai
    from google.genai import errors, types

    client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=URL))

    def speaks(model):
        answer = client.models.generate_content(model=model, contents="Say hello")
        assert answer.text == "Hello there"
        assert answer.usage_metadata.total_token_count == 11
        chunks = client.models.generate_content_stream(model=model, contents="Say hello")
        assert "".join(chunk.text or "" for chunk in chunks) == "Hello there"

    def calls_functions_by_itself():
        asked = []

        def get_city(country: str) -> str:
            """The city of a country."""
            asked.append(country)
            return "Paris"

        config = types.GenerateContentConfig(tools=[get_city])
        answer = client.models.generate_content(model="sandbox/tools", contents="Where am I?", config=config)
        assert answer.text and len(asked) == 1

    def raises():
        try:
            client.models.generate_content(model="sandbox/status-400", contents="Hello")
        except errors.ClientError as error:
            assert error.code == 400
        else:
            raise AssertionError("no ClientError")

    return [lambda model=model: speaks(model) for model in MODELS] + [calls_functions_by_itself, raises]


def aws_scenarios():
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    # Over plain HTTP it sends no bearer token, so the key goes in a header of its own.
    bedrock = boto3.client(
        "bedrock-runtime", region_name="us-east-1", endpoint_url=URL, config=Config(signature_version=UNSIGNED)
    )
    bedrock.meta.events.register("before-sign.bedrock-runtime", lambda request, **_: request.headers.add_header("x-api-key", KEY))
    messages = [{"role": "user", "content": [{"text": "Say hello"}]}]

    def speaks(model):
        answer = bedrock.converse(modelId=model, messages=messages)
        assert answer["output"]["message"]["content"][0]["text"] == "Hello there"
        assert answer["usage"]["totalTokens"] == 11
        events = list(bedrock.converse_stream(modelId=model, messages=messages)["stream"])
        deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
        assert "".join(delta.get("text", "") for delta in deltas) == "Hello there"
        assert any("metadata" in event for event in events)

    def calls_tools():
        tool = {"toolSpec": {"name": "get_city", "inputSchema": {"json": COUNTRY}}}
        answer = bedrock.converse(modelId="sandbox/tools", messages=messages, toolConfig={"tools": [tool]})
        assert answer["stopReason"] == "tool_use"

    def raises():
        try:
            bedrock.converse(modelId="sandbox/status-400", messages=messages)
        except bedrock.exceptions.ValidationException:
            pass
        else:
            raise AssertionError("no ValidationException")

    return [lambda model=model: speaks(model) for model in MODELS] + [calls_tools, raises]


def langchain_scenarios():
    from langchain_anthropic import ChatAnthropic
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    @tool
    def get_city(country: str) -> str:
        """The city of a country."""
        return "Paris"

    makers = [
        lambda model: ChatOpenAI(model=model, base_url=f"{URL}/v1", api_key=KEY, max_retries=0),
        lambda model: ChatAnthropic(model=model, base_url=URL, api_key=KEY, max_retries=0),
    ]

    def speaks(make, model):
        assert make(model).invoke("Say hello").text == "Hello there"
        assert "".join(chunk.text for chunk in make(model).stream("Say hello")) == "Hello there"

    def calls_tools(make):
        answer = make("sandbox/tools").bind_tools([get_city]).invoke("Where am I?")
        assert answer.tool_calls[0]["name"] == "get_city"

    speaking = [lambda make=make, model=model: speaks(make, model) for make in makers for model in MODELS]
    return speaking + [lambda make=make: calls_tools(make) for make in makers]


SUITES = {
    "anthropic": anthropic_scenarios,
    "google-genai": google_scenarios,
    "boto3": aws_scenarios,
    "langchain": langchain_scenarios,
}
scenarios = SUITES[sys.argv[1]]()
for scenario in scenarios:
    scenario()
print(f"{len(scenarios)} scenarios passed")

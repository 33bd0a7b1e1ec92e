"""Checks Messages requests, one JSON object a line, against the types of Anthropic's own client library.

A field that the types do not know vanishes when they read it, so what they give back has to be what they were given.
Exits with 75 where the library is not installed.
"""

import json
import sys

try:
    from anthropic.types import message_create_params as params
    from pydantic import TypeAdapter
except ImportError:
    sys.exit(75)

PLAIN = TypeAdapter(params.MessageCreateParamsNonStreaming)
STREAMED = TypeAdapter(params.MessageCreateParamsStreaming)
# Newer models refuse them and newer types leave them out; older models take them.
SAMPLING = ("temperature", "top_p", "top_k")


def read(value):
    """All of a value: arrays are checked while they are walked."""
    if isinstance(value, dict):
        return {key: read(inner) for key, inner in value.items()}
    if value is None or isinstance(value, (str, int, float)):
        return value
    return [read(inner) for inner in value]


def fault(request):
    request = {key: value for key, value in request.items() if key not in SAMPLING}
    adapter = STREAMED if request.get("stream") else PLAIN
    try:
        known = read(adapter.validate_python(request))
    except Exception as error:  # Whatever it is, the request is not of these types.
        return str(error)
    return None if known == request else f"unknown fields: {json.dumps(known)}"


faults = 0
for line in sys.stdin:
    name, _, body = line.partition("\t")
    found = fault(json.loads(body))
    if found:
        faults += 1
        print(f"{name}: {found}\n{body}")
sys.exit(1 if faults else 0)

"""Checks generateContent requests, one JSON object a line, against the types of Google's own client library.

The types refuse fields that they do not know. Exits with 75 where the library is not installed.
"""

import json
import sys

try:
    from google.genai import types
except ImportError:
    sys.exit(75)

# How each member of a request is read; whole lists are read item by item.
READERS = {
    "contents": types.Content,
    "systemInstruction": types.Content,
    "tools": types.Tool,
    "toolConfig": types.ToolConfig,
    "generationConfig": types.GenerationConfig,
    "safetySettings": types.SafetySetting,
}
PLAIN = {"serviceTier", "cachedContent", "labels"}


def fault(request):
    for key, value in request.items():
        if key in PLAIN:
            continue
        if key not in READERS:
            return f"unknown field: {key}"
        for item in value if isinstance(value, list) else [value]:
            try:
                READERS[key].model_validate(item)
            except Exception as error:  # Whatever it is, the request is not of these types.
                return f"{key}: {error}"
    return None


faults = 0
for line in sys.stdin:
    name, _, body = line.partition("\t")
    found = fault(json.loads(body))
    if found:
        faults += 1
        print(f"{name}: {found}\n{body}")
sys.exit(1 if faults else 0)

"""The Client of the PyPI package mcp 2.x, which lets itself be asked.

Arguments: URL, API key (or "-"), protocol mode ("auto" or a version).
Calls the tools of the reference server that ask, and prints one JSON object:
what each call led to, and what was asked.
"""

import asyncio
import json
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CreateMessageResult, ElicitResult, TextContent

CALLS = {"test_sampling": {"prompt": "Say it"}, "test_elicitation": {"message": "Who are you?"}, "ask_url": {}}


async def main(url, key, mode):
    asked = []

    async def sample(context, params):
        asked.append({"sampling": params.messages[0].content.text})
        content = TextContent(type="text", text="said by the model")
        return CreateMessageResult(role="assistant", model="scripted", content=content)

    async def elicit(context, params):
        asked.append({params.mode: params.message})
        if params.mode == "url":
            return ElicitResult(action="accept")
        return ElicitResult(action="accept", content={"username": "ada", "email": "ada@example.com"})

    headers = {} if key == "-" else {"Authorization": f"Bearer {key}"}
    seen = {"asked": asked}
    async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode=mode, sampling_callback=sample, elicitation_callback=elicit) as client:
            seen["version"] = client.protocol_version
            for tool, arguments in CALLS.items():
                result = await client.call_tool(tool, arguments)
                seen[tool] = result.content[0].text
    print(json.dumps(seen))


asyncio.run(main(*sys.argv[1:4]))

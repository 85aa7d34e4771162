"""The Client of the PyPI package mcp 2.x against one endpoint.

Arguments: URL, API key (or "-"), protocol mode ("auto" or a version), and a
JSON object: {"tool", "arguments", "prompt"?, "resource"?}.
Prints one JSON object with what it saw.
"""

import asyncio
import json
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


def dump(model):
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


async def main(url, key, mode, plan):
    headers = {} if key == "-" else {"Authorization": f"Bearer {key}"}
    seen = {}
    async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode=mode) as client:
            seen["version"] = client.protocol_version
            seen["server"] = client.server_info.name
            seen["tools"] = [tool.name for tool in (await client.list_tools()).tools]
            result = await client.call_tool(plan["tool"], plan["arguments"])
            seen["call"] = dump(result)
            if "prompt" in plan:
                seen["prompts"] = [prompt.name for prompt in (await client.list_prompts()).prompts]
                seen["prompt"] = dump(await client.get_prompt(plan["prompt"]))
            if "resource" in plan:
                seen["resources"] = [str(entry.uri) for entry in (await client.list_resources()).resources]
                seen["resource"] = dump(await client.read_resource(plan["resource"]))
    print(json.dumps(seen))


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])))

"""Signs in at an endpoint with the OAuth client of the PyPI package mcp 2.x or
of fastmcp, lists its tools and calls one.

Arguments: URL, "mcp" or "fastmcp", the tool, its arguments as JSON. Prints
`open URL`, waits for the URL that the browser was sent back to on its standard
input, and prints one line of JSON for each attempt to call: a result, or the
error. A line `again` on the standard input is a further attempt.
"""

import asyncio
import json
import sys
import traceback
from urllib.parse import parse_qs, urlparse

import httpx2
from fastmcp.client import Client as FastClient
from fastmcp.client.auth import OAuth
from mcp import Client
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

CALLBACK = "http://localhost:33419/callback"


async def line():
    return (await asyncio.to_thread(sys.stdin.readline)).strip()


class Memory(TokenStorage):
    tokens = None
    client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


async def redirect(url):
    print("open", url, flush=True)


async def call(client, tool, arguments):
    async with client:
        tools = await client.list_tools()
        names = [tool.name for tool in getattr(tools, "tools", tools)]
        result = await client.call_tool(tool, arguments)
        return {"tools": names, "text": result.content[0].text}


async def attempts(make, tool, arguments):
    while True:
        try:
            seen = await call(make(), tool, arguments)
        except BaseException as error:
            seen = {"error": "".join(traceback.format_exception(error))}
        print(json.dumps(seen), flush=True)
        if await line() != "again":
            return


async def with_mcp(url, tool, arguments):
    async def callback():
        query = parse_qs(urlparse(await line()).query)
        from mcp.client.auth import AuthorizationCodeResult

        return AuthorizationCodeResult(
            code=query["code"][0], state=query.get("state", [None])[0], iss=query.get("iss", [None])[0]
        )

    provider = OAuthClientProvider(
        server_url=url,
        client_metadata=OAuthClientMetadata(client_name="Python", redirect_uris=[CALLBACK]),
        storage=Memory(),
        redirect_handler=redirect,
        callback_handler=callback,
    )
    async with httpx2.AsyncClient(auth=provider, timeout=30) as http:
        await attempts(lambda: Client(streamable_http_client(url, http_client=http)), tool, arguments)


async def with_fastmcp(url, tool, arguments):
    class Printing(OAuth):
        async def redirect_handler(self, authorization_url):
            await redirect(authorization_url)

    auth = Printing(mcp_url=url, client_name="FastMCP")
    await attempts(lambda: FastClient(url, auth=auth), tool, arguments)


url, kind, tool, arguments = sys.argv[1:5]
run = with_mcp if kind == "mcp" else with_fastmcp
asyncio.run(run(url, tool, json.loads(arguments)))

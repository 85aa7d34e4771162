"""A FastMCP server behind FastMCP's own authorization server, which lets
everybody in who asks.

Arguments: the port.
"""

import sys

from fastmcp import FastMCP
from fastmcp.server.auth.providers.in_memory import InMemoryOAuthProvider
from fastmcp.server.dependencies import get_access_token
from mcp.server.auth.settings import ClientRegistrationOptions, RevocationOptions

base = f"http://127.0.0.1:{sys.argv[1]}"
provider = InMemoryOAuthProvider(
    base_url=base,
    client_registration_options=ClientRegistrationOptions(enabled=True),
    revocation_options=RevocationOptions(enabled=True),
)
server = FastMCP("protected", auth=provider)


@server.tool
def whose_token() -> str:
    """Tells the access token that came with the call."""
    return get_access_token().token


print(f"serving {base}/mcp", flush=True)
server.run(transport="http", host="127.0.0.1", port=int(sys.argv[1]), show_banner=False)

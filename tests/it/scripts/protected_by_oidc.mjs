// An MCP server that takes the access tokens of an oidc-provider beside it:
// JWTs for its own URL (RFC 8707), of two seconds, refreshed with rotation.
// Arguments: the port of the server, the port of the provider.
import { createServer } from "node:http";
import { createRemoteJWKSet, jwtVerify } from "jose";
import Provider from "oidc-provider";

const [port, providerPort] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${providerPort}`;
const resource = `http://127.0.0.1:${port}/mcp`;

const provider = new Provider(issuer, {
  features: {
    devInteractions: { enabled: true },
    registration: { enabled: true },
    registrationManagement: { enabled: true, rotateRegistrationAccessToken: false },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: "tools",
        audience: resource,
        accessTokenFormat: "jwt",
        accessTokenTTL: 2,
      }),
    },
  },
  scopes: ["openid", "offline_access", "tools"],
  clientDefaults: { token_endpoint_auth_method: "client_secret_basic" },
  rotateRefreshToken: true,
  issueRefreshToken: async () => true,
  cookies: { keys: ["a key of this test"] },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
});
provider.on("grant.success", (context) => console.log(`granted ${context.oidc.params.grant_type}`));
provider.on("grant.error", (_, error) => console.log(`not granted ${error.error}: ${error.error_detail ?? ""}`));
provider.listen(Number(providerPort), "127.0.0.1");

const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`));

async function callerOf(request) {
  const token = (request.headers.authorization ?? "").replace(/^Bearer /, "");
  const { payload } = await jwtVerify(token, keys, { issuer, audience: resource });
  return payload.sub;
}

function answer(message, caller) {
  switch (message.method) {
    case "initialize":
      return {
        protocolVersion: "2025-11-25",
        capabilities: { tools: {} },
        serverInfo: { name: "protected", version: "1" },
      };
    case "tools/list":
      return { tools: [{ name: "who_am_i", inputSchema: { type: "object" } }] };
    case "tools/call":
      return { content: [{ type: "text", text: caller }] };
    default:
      return null;
  }
}

createServer(async (request, response) => {
  const json = (status, value, headers = {}) =>
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(value));
  if (request.url === "/.well-known/oauth-protected-resource/mcp") {
    return json(200, { resource, authorization_servers: [issuer], scopes_supported: ["tools"] });
  }
  let caller;
  try {
    caller = await callerOf(request);
  } catch (fault) {
    if (request.headers.authorization) console.log(`refused: ${fault.message}`);
    const metadata = `http://127.0.0.1:${port}/.well-known/oauth-protected-resource/mcp`;
    return json(401, {}, { "www-authenticate": `Bearer error="invalid_token", resource_metadata="${metadata}"` });
  }
  let body = "";
  for await (const chunk of request) body += chunk;
  if (request.method !== "POST") return response.writeHead(405).end();
  const message = JSON.parse(body);
  if (message.id === undefined) return response.writeHead(202).end();
  const result = answer(message, caller);
  const error = { code: -32601, message: "Method not found" };
  return json(200, { jsonrpc: "2.0", id: message.id, ...(result ? { result } : { error }) });
}).listen(Number(port), "127.0.0.1", () => console.log(`serving ${resource}`));

// An MCP server that says who calls. It takes access tokens of an identity
// provider for its own URL, and those of its own authorization server, which
// takes identity assertions of the provider (ID-JAG). Both live for two
// seconds. Arguments: its port, the provider's issuer.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { createRemoteJWKSet, jwtVerify } from "jose";

const [port, provider] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const resource = `${issuer}/mcp`;
const keys = createRemoteJWKSet(new URL(`${provider}/jwks`));
const given = new Map();

const metadata = {
  issuer,
  token_endpoint: `${issuer}/token`,
  revocation_endpoint: `${issuer}/revoke`,
  authorization_endpoint: `${issuer}/authorize`,
  code_challenge_methods_supported: ["S256"],
  token_endpoint_auth_methods_supported: ["client_secret_basic"],
  grant_types_supported: ["urn:ietf:params:oauth:grant-type:jwt-bearer"],
};

async function bodyOf(request) {
  let body = "";
  for await (const chunk of request) body += chunk;
  return body;
}

async function token(request) {
  const form = new URLSearchParams(await bodyOf(request));
  const client = Buffer.from((request.headers.authorization ?? "").slice("Basic ".length), "base64").toString();
  if (client !== "hub-there:secret-there") throw new Error("not the client");
  const { payload, protectedHeader } = await jwtVerify(form.get("assertion"), keys, {
    issuer: provider,
    audience: issuer,
  });
  if (protectedHeader.typ !== "oauth-id-jag+jwt" || payload.client_id !== "hub-there") {
    throw new Error("not an ID-JAG for this client");
  }
  const access_token = randomUUID();
  given.set(access_token, { sub: payload.sub, until: Date.now() + 2000 });
  return { access_token, token_type: "Bearer", expires_in: 2 };
}

async function callerOf(request) {
  const shown = (request.headers.authorization ?? "").replace(/^Bearer /, "");
  const own = given.get(shown);
  if (own && Date.now() < own.until) return `${own.sub} by assertion`;
  const { payload, protectedHeader } = await jwtVerify(shown, keys, { issuer: provider, audience: resource });
  if (protectedHeader.typ !== "at+jwt") throw new Error("not an access token");
  return `${payload.sub} by exchange`;
}

function answer(message, caller) {
  switch (message.method) {
    case "initialize":
      return {
        protocolVersion: "2025-11-25",
        capabilities: { tools: {} },
        serverInfo: { name: "who-calls", version: "1" },
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
  switch (request.url) {
    case "/.well-known/oauth-protected-resource/mcp":
      return json(200, { resource, authorization_servers: [issuer], scopes_supported: ["tools"] });
    case "/.well-known/oauth-authorization-server":
      return json(200, metadata);
    case "/token":
      try {
        return json(200, await token(request));
      } catch (fault) {
        console.log(`no token: ${fault.message}`);
        return json(400, { error: "invalid_grant", error_description: fault.message });
      }
    case "/revoke": {
      const revoked = given.delete(new URLSearchParams(await bodyOf(request)).get("token"));
      console.log(`revoked: ${revoked}`);
      return json(200, {});
    }
  }
  let caller;
  try {
    caller = await callerOf(request);
  } catch (fault) {
    if (request.headers.authorization) console.log(`refused: ${fault.message}`);
    const where = `${issuer}/.well-known/oauth-protected-resource/mcp`;
    return json(401, {}, { "www-authenticate": `Bearer error="invalid_token", resource_metadata="${where}"` });
  }
  if (request.method !== "POST") return response.writeHead(405).end();
  const message = JSON.parse(await bodyOf(request));
  if (message.id === undefined) return response.writeHead(202).end();
  const result = answer(message, caller);
  const error = { code: -32601, message: "Method not found" };
  return json(200, { jsonrpc: "2.0", id: message.id, ...(result ? { result } : { error }) });
}).listen(Number(port), "127.0.0.1", () => console.log(`serving ${resource}`));

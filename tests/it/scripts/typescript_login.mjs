// The Client of the npm package @modelcontextprotocol/client 2.x with its
// OAuth, against one endpoint. Arguments: URL, and a JSON array of calls
// {tool, arguments}. Prints `open URL` when a person has to sign in or to allow
// more, waits for the URL that the browser was sent back to on its standard
// input, and at the end prints one JSON object with what each call gave.
import readline from "node:readline";
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from "@modelcontextprotocol/client";

const [url, callsText] = process.argv.slice(2);
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const kept = {};
const provider = {
  redirectUrl: "http://localhost:33420/callback",
  clientMetadata: {
    client_name: "TypeScript",
    redirect_uris: ["http://localhost:33420/callback"],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
  },
  state: () => "the state",
  clientInformation: () => kept.client,
  saveClientInformation: (client) => void (kept.client = client),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => void (kept.tokens = tokens),
  saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
  codeVerifier: () => kept.verifier,
  redirectToAuthorization: (target) => console.log(`open ${target}`),
};

let transport;
async function authorized(attempt) {
  try {
    return await attempt();
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    const back = new URL((await lines.next()).value);
    await transport.finishAuth(back.searchParams);
    return authorized(attempt);
  }
}

const client = await authorized(async () => {
  transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: provider });
  const client = new Client({ name: "trunkline-tests", version: "1.0.0" });
  await client.connect(transport);
  return client;
});
const seen = { tools: (await client.listTools()).tools.map((tool) => tool.name), texts: [] };
for (const call of JSON.parse(callsText)) {
  const result = await authorized(() => client.callTool({ name: call.tool, arguments: call.arguments }));
  seen.texts.push(result.content[0].text);
}
seen.scope = kept.tokens.scope;
console.log(JSON.stringify(seen));
process.exit(0);

// The Client of the npm package @modelcontextprotocol/sdk 1.x, whose user
// visits the pages that a server sends them to. Arguments: URL, API key (or
// "-"), and the era of the server behind. Prints one JSON object with what it saw.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  ElicitRequestSchema,
  ElicitationCompleteNotificationSchema,
  UrlElicitationRequiredError,
} from "@modelcontextprotocol/sdk/types.js";

const [url, key, server] = process.argv.slice(2);
const headers = key === "-" ? {} : { Authorization: `Bearer ${key}` };
const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
const capabilities = { elicitation: { form: {}, url: {} } };
const client = new Client({ name: "trunkline-tests", version: "1.0.0" }, { capabilities });

const seen = { asked: [] };
client.setRequestHandler(ElicitRequestSchema, async ({ params }) => {
  seen.asked.push({ mode: params.mode, url: params.url, id: params.elicitationId ?? null });
  return { action: "accept" };
});
const completed = new Promise((resolve) => {
  client.setNotificationHandler(ElicitationCompleteNotificationSchema, ({ params }) => resolve(params.elicitationId));
});
await client.connect(transport);

const called = await client.callTool({ name: "ask_url", arguments: {} });
seen.text = called.content[0].text;
// Only between legacy ones is the end of a visit told, and is there an error for it.
if (server === "legacy") {
  seen.completed = await completed;
  seen.error = await client.callTool({ name: "ask_url_by_error", arguments: {} }).then(
    () => null,
    (error) => error instanceof UrlElicitationRequiredError && { code: error.code, elicitations: error.elicitations },
  );
  const again = await client.callTool({ name: "ask_url_by_error", arguments: {} });
  seen.again = again.content[0].text;
}
await client.close();
console.log(JSON.stringify(seen));
process.exit(0);

// The Client of the npm package @modelcontextprotocol/client 2.x, whose user
// visits the pages that a server sends them to. Arguments: URL, API key (or
// "-"), version negotiation ("default" or "auto"), and the era of the server
// behind. Prints one JSON object with what it saw.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const [url, key, negotiation, server] = process.argv.slice(2);
const headers = key === "-" ? {} : { Authorization: `Bearer ${key}` };
const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
const options = { capabilities: { elicitation: { form: {}, url: {} } } };
if (negotiation !== "default") options.versionNegotiation = { mode: negotiation };
const client = new Client({ name: "trunkline-tests", version: "1.0.0" }, options);

const seen = { asked: [] };
client.setRequestHandler("elicitation/create", async ({ params }) => {
  const { mode, url: page, elicitationId } = params;
  seen.asked.push({ mode, url: page, id: elicitationId ?? null });
  return { action: "accept" };
});
const completed = new Promise((resolve) => {
  client.setNotificationHandler("notifications/elicitation/complete", ({ params }) => resolve(params.elicitationId));
});
await client.connect(transport);

seen.version = client.getNegotiatedProtocolVersion();
const called = await client.callTool({ name: "ask_url", arguments: {} });
seen.text = called.content[0].text;
// Only between legacy ones is the end of a visit told, and is there an error for it.
if (negotiation === "default" && server === "legacy") {
  seen.completed = await completed;
  seen.error = await client.callTool({ name: "ask_url_by_error", arguments: {} }).then(
    () => null,
    ({ code, data }) => ({ code, elicitations: data?.elicitations ?? null }),
  );
  const again = await client.callTool({ name: "ask_url_by_error", arguments: {} });
  seen.again = again.content[0].text;
}
await client.close();
console.log(JSON.stringify(seen));
process.exit(0);

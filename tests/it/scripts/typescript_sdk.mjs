// The Client of the npm package @modelcontextprotocol/sdk 1.x against one
// endpoint. Arguments: URL, API key (or "-"), transport ("http" or "sse"), and
// a JSON object: {tool, arguments, prompt?, resource?}.
// Prints one JSON object with what it saw.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [url, key, kind, planText] = process.argv.slice(2);
const plan = JSON.parse(planText);
const headers = key === "-" ? {} : { Authorization: `Bearer ${key}` };
const Transport = kind === "sse" ? SSEClientTransport : StreamableHTTPClientTransport;
const transport = new Transport(new URL(url), { requestInit: { headers } });
const client = new Client({ name: "trunkline-tests", version: "1.0.0" });
await client.connect(transport);

const seen = { server: client.getServerVersion()?.name, session: transport.sessionId ?? null };
seen.tools = (await client.listTools()).tools.map((tool) => tool.name);
seen.call = await client.callTool({ name: plan.tool, arguments: plan.arguments });
if (plan.prompt) {
  seen.prompts = (await client.listPrompts()).prompts.map((prompt) => prompt.name);
  seen.prompt = await client.getPrompt({ name: plan.prompt });
}
if (plan.resource) {
  seen.resources = (await client.listResources()).resources.map((resource) => resource.uri);
  seen.templates = (await client.listResourceTemplates()).resourceTemplates.map((one) => one.uriTemplate);
  seen.resource = await client.readResource({ uri: plan.resource });
}
if (plan.progress) {
  let reports = 0;
  const call = { name: plan.progress.tool, arguments: plan.progress.arguments };
  await client.callTool(call, undefined, { onprogress: () => { reports += 1; } });
  seen.progress = reports;
}
await client.ping();
if (kind === "http") await transport.terminateSession();
await client.close();
console.log(JSON.stringify(seen));
process.exit(0);

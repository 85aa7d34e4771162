// The Client of the npm package @modelcontextprotocol/client 2.x against one
// endpoint. Arguments: URL, API key (or "-"), version negotiation ("default"
// or "auto"), and a JSON object: {tool, arguments, prompt?, resource?}.
// Prints one JSON object with what it saw.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const [url, key, negotiation, planText] = process.argv.slice(2);
const plan = JSON.parse(planText);
const headers = key === "-" ? {} : { Authorization: `Bearer ${key}` };
const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
const options = negotiation === "default" ? {} : { versionNegotiation: { mode: negotiation } };
const client = new Client({ name: "trunkline-tests", version: "1.0.0" }, options);
await client.connect(transport);

const seen = { server: client.getServerVersion()?.name, version: client.getNegotiatedProtocolVersion?.() ?? null };
seen.tools = (await client.listTools()).tools.map((tool) => tool.name);
seen.call = await client.callTool({ name: plan.tool, arguments: plan.arguments });
if (plan.prompt) {
  seen.prompts = (await client.listPrompts()).prompts.map((prompt) => prompt.name);
  seen.prompt = await client.getPrompt({ name: plan.prompt });
}
if (plan.resource) {
  seen.resources = (await client.listResources()).resources.map((resource) => resource.uri);
  seen.resource = await client.readResource({ uri: plan.resource });
}
await client.close();
console.log(JSON.stringify(seen));
process.exit(0);

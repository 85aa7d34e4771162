// The Client of the npm package @modelcontextprotocol/sdk 1.x, whose connection
// breaks in the middle of a call, and which then cancels one. Arguments: URL,
// API key, and a JSON object: {tool, arguments}. Prints one JSON object with
// what it saw.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [url, key, planText] = process.argv.slice(2);
const plan = JSON.parse(planText);
const seen = { cut: 0, resumed: [], errors: 0 };

// Breaks the first event stream that answers a POST after what comes first on it.
async function breaking(target, init) {
  const response = await fetch(target, init);
  if (new Headers(init.headers).has("last-event-id")) seen.resumed.push(response.status);
  const isStream = response.headers.get("content-type")?.startsWith("text/event-stream");
  if (init.method !== "POST" || !isStream || seen.cut > 0) return response;
  seen.cut += 1;
  const reader = response.body.getReader();
  let isFirst = true;
  const body = new ReadableStream({
    async pull(controller) {
      if (isFirst) {
        isFirst = false;
        controller.enqueue((await reader.read()).value);
        return;
      }
      await reader.cancel();
      controller.error(new Error("the connection broke"));
    },
  }, { highWaterMark: 0 });
  return new Response(body, { status: response.status, headers: response.headers });
}

const requestInit = { headers: { Authorization: `Bearer ${key}` } };
const reconnectionOptions = {
  initialReconnectionDelay: 100, maxReconnectionDelay: 100, reconnectionDelayGrowFactor: 1, maxRetries: 2,
};
const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit, fetch: breaking, reconnectionOptions });
const client = new Client({ name: "trunkline-tests", version: "1.0.0" });
await client.connect(transport);
let reports = 0;
const call = { name: plan.tool, arguments: plan.arguments };
seen.call = await client.callTool(call, undefined, { onprogress: () => { reports += 1; } });
seen.reports = reports;

client.onerror = () => { seen.errors += 1; };
const giveUp = new AbortController();
const cancelled = client.callTool(call, undefined, { signal: giveUp.signal, onprogress: () => giveUp.abort() });
await cancelled.catch(() => { seen.cancelled = true; });
// The SDK comes back for an answer once, and would again within this time if that were refused as an error.
for (let waited = 0; waited < 100 && seen.resumed.length < 2; waited += 1) {
  await new Promise((resolve) => setTimeout(resolve, 50));
}
await new Promise((resolve) => setTimeout(resolve, 300));
await client.close();
console.log(JSON.stringify(seen));
process.exit(0);

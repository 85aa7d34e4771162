// Runs one tool as a task against one endpoint, with the Client of the npm
// package @modelcontextprotocol/sdk 1.x ("sdk"), or with that of
// @modelcontextprotocol/client 2.x and @modelcontextprotocol/ext-tasks, in the
// legacy era ("legacy") or the modern one ("modern"). Arguments: URL, API key,
// which of them, tool, its arguments as JSON. Prints one JSON object with what
// it saw.
import { createTaskSessionFromClient, resultFromTaskOutcome } from "@modelcontextprotocol/ext-tasks/client";

const [url, key, which, tool, argumentsText] = process.argv.slice(2);
const args = JSON.parse(argumentsText);
const headers = { Authorization: `Bearer ${key}` };
const clientInfo = { name: "trunkline-tests", version: "1.0.0" };
const extension = { extensions: { "io.modelcontextprotocol/tasks": {} } };

async function withSdk() {
  const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
  const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
  const { CallToolResultSchema } = await import("@modelcontextprotocol/sdk/types.js");
  const client = new Client(clientInfo, { capabilities: {} });
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  await client.listTools();
  const seen = { messages: [] };
  const tasks = client.experimental.tasks;
  const stream = tasks.callToolStream({ name: tool, arguments: args }, CallToolResultSchema, { task: { ttl: 60000 } });
  for await (const message of stream) {
    seen.messages.push(message.type);
    if (message.type === "taskCreated") seen.task = message.task.taskId;
    if (message.type === "result") seen.result = message.result;
    if (message.type === "error") throw message.error;
  }
  seen.status = (await tasks.getTask(seen.task)).status;
  seen.listed = (await tasks.listTasks()).tasks.map((task) => task.taskId);
  await client.close();
  return seen;
}

// The request as the modern era puts it on the wire; its answer is one message
// of JSON or of an event stream.
async function dispatch(request) {
  const name = request.params.taskId ?? request.params.name;
  const response = await fetch(url, {
    method: "POST",
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, ...request }),
    headers: {
      ...headers,
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
      "MCP-Protocol-Version": "2026-07-28",
      "Mcp-Method": request.method,
      "Mcp-Name": name,
    },
  });
  const text = await response.text();
  const lines = text.startsWith("{") ? [text] : text.split("\n").filter((line) => line.startsWith("data: {")).map((line) => line.slice(6));
  const answer = JSON.parse(lines.at(-1));
  return answer.error ? { kind: "error", error: answer.error } : { kind: "result", result: answer.result };
}

async function withExtension() {
  const { Client, StreamableHTTPClientTransport } = await import("@modelcontextprotocol/client");
  const modern = which === "modern";
  const capabilities = modern ? extension : {};
  const options = modern ? { capabilities, versionNegotiation: { mode: "auto" } } : { capabilities };
  const client = new Client(clientInfo, options);
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  const seen = { version: client.getNegotiatedProtocolVersion?.() ?? null };
  seen.tool = (await client.listTools()).tools.find((one) => one.name === tool) !== undefined;
  const framing = { protocolVersion: "2026-07-28", clientInfo, clientCapabilities: capabilities };
  const raw = modern ? { rawDispatch: dispatch, v2RequestFraming: framing } : {};
  const session = createTaskSessionFromClient(client, { endpointId: "trunkline", ...raw });
  try {
    const execution = await session.callTool(tool, args);
    seen.kind = execution.kind ?? null;
    const { outcome } = await execution.settle();
    seen.result = resultFromTaskOutcome(outcome);
  } finally {
    await session.close();
  }
  await client.close();
  return seen;
}

console.log(JSON.stringify(await (which === "sdk" ? withSdk() : withExtension())));
process.exit(0);

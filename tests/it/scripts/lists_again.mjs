// The Client of the npm package @modelcontextprotocol/client 2.x, listing the
// tools of one endpoint several times. Arguments: URL and number of lists.
// Prints one JSON object: how many tools each list had, and how each answer
// was encoded on its way.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const [url, times] = process.argv.slice(2);
const encodings = [];
const watched = async (input, init) => {
  const response = await fetch(input, init);
  if (typeof init?.body === "string" && JSON.parse(init.body).method === "tools/list") {
    encodings.push(response.headers.get("content-encoding"));
  }
  return response;
};
const transport = new StreamableHTTPClientTransport(new URL(url), { fetch: watched });
const client = new Client({ name: "trunkline-tests", version: "1.0.0" });
await client.connect(transport);
const tools = [];
for (let list = 0; list < Number(times); list += 1) {
  tools.push((await client.request({ method: "tools/list", params: {} })).tools.length);
}
await client.close();
console.log(JSON.stringify({ tools, encodings }));
process.exit(0);

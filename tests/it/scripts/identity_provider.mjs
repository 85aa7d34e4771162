// An OpenID provider of the npm package oidc-provider on a free port of
// loopback. Arguments: the port, the id of its only client, and where the hub
// is. Prints one line with its issuer once it answers.
//
// Accounts are whatever is typed; CLAIMS (environment, JSON) says what is
// known of them. `POST /keys` replaces the signing key.
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const [port, clientId, hub] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const people = JSON.parse(process.env.CLAIMS ?? "{}");
const inIdToken = process.env.CLAIMS_IN_ID_TOKEN === "1";

function signingKey() {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { ...privateKey.export({ format: "jwk" }), use: "sig", alg: "ES256", kid: randomUUID() };
}

function provider(key) {
  const made = new Provider(issuer, {
    clients: [
      {
        client_id: clientId,
        client_secret: "a secret of the test, long enough",
        redirect_uris: [`${hub}/login/callback/corp`],
        post_logout_redirect_uris: [`${hub}/login`],
        backchannel_logout_uri: `${hub}/login/backchannel/corp`,
        backchannel_logout_session_required: true,
        id_token_signed_response_alg: "ES256",
      },
    ],
    jwks: { keys: [key] },
    cookies: { keys: ["a cookie key of the test"] },
    claims: { openid: ["sub"], profile: ["name", "groups"], email: ["email", "email_verified"] },
    conformIdTokenClaims: !inIdToken,
    features: { backchannelLogout: { enabled: true }, devInteractions: { enabled: true } },
    // Its own dispatcher reaches no loopback.
    fetch: (url, { dispatcher: _, ...options }) => globalThis.fetch(url, options),
    findAccount: async (_context, id) => ({
      accountId: id,
      claims: async () => ({ sub: id, ...people[id] }),
    }),
  });
  made.on("backchannel.error", (_context, error) => console.log(`back-channel: ${error.message} ${error.cause ?? ""}`));
  return made;
}

let current = provider(signingKey()).callback();
createServer((request, response) => {
  if (request.method === "POST" && request.url === "/keys") {
    current = provider(signingKey()).callback();
    response.end("replaced");
  } else {
    current(request, response);
  }
}).listen(Number(port), "127.0.0.1", () => console.log(`issuer ${issuer}`));

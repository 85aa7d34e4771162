// An OpenID provider of the npm package oidc-provider on a free port of
// loopback. Arguments: the port, the id of its only client, and where the hub
// is. Prints one line with its issuer once it answers.
//
// Accounts are whatever is typed; CLAIMS (environment, JSON) says what is
// known of them. `POST /keys` replaces the signing key; `POST /lost/NAME` and
// `/found/NAME` say whether an account is known. ID_TOKEN_LIFE is in seconds.
// It exchanges its ID tokens (RFC 8693) for access tokens and ID-JAGs.
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { SignJWT, jwtVerify } from "jose";
import { Provider } from "oidc-provider";

const [port, clientId, hub] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const people = JSON.parse(process.env.CLAIMS ?? "{}");
const lost = new Set();
const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const ID_JAG = "urn:ietf:params:oauth:token-type:id-jag";
const inIdToken = process.env.CLAIMS_IN_ID_TOKEN === "1";

function signingKey() {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { ...privateKey.export({ format: "jwk" }), use: "sig", alg: "ES256", kid: randomUUID() };
}

// Whoever shows an ID token of this provider for this client is given a token that names its subject.
async function exchange(context, key) {
  const { subject_token, requested_token_type, audience, resource, scope } = context.oidc.params;
  const privateKey = createPrivateKey({ key, format: "jwk" });
  const { payload } = await jwtVerify(subject_token, createPublicKey(privateKey), { issuer, audience: clientId });
  if (lost.has(payload.sub)) throw Object.assign(new Error("unknown"), { expose: true });
  const isJag = requested_token_type === ID_JAG;
  const token = await new SignJWT({ client_id: "hub-there", resource, scope })
    .setProtectedHeader({ alg: "ES256", kid: key.kid, typ: isJag ? "oauth-id-jag+jwt" : "at+jwt" })
    .setIssuer(issuer)
    .setSubject(payload.sub)
    .setAudience(isJag ? audience : resource)
    .setJti(randomUUID())
    .setIssuedAt()
    .setExpirationTime("2 seconds")
    .sign(privateKey);
  console.log(`exchanged for ${payload.sub}`);
  context.body = {
    access_token: token,
    issued_token_type: requested_token_type,
    token_type: isJag ? "N_A" : "Bearer",
    expires_in: 2,
  };
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
        grant_types: ["authorization_code", "refresh_token", EXCHANGE],
      },
    ],
    jwks: { keys: [key] },
    cookies: { keys: ["a cookie key of the test"] },
    claims: { openid: ["sub"], profile: ["name", "groups"], email: ["email", "email_verified"] },
    ttl: { IdToken: Number(process.env.ID_TOKEN_LIFE ?? 3600) },
    rotateRefreshToken: true,
    conformIdTokenClaims: !inIdToken,
    features: { backchannelLogout: { enabled: true }, devInteractions: { enabled: true } },
    // Its own dispatcher reaches no loopback.
    fetch: (url, { dispatcher: _, ...options }) => globalThis.fetch(url, options),
    findAccount: async (_context, id) =>
      lost.has(id) ? undefined : { accountId: id, claims: async () => ({ sub: id, ...people[id] }) },
  });
  const parameters = [
    "subject_token",
    "subject_token_type",
    "requested_token_type",
    "audience",
    "resource",
    "scope",
  ];
  made.registerGrantType(
    EXCHANGE,
    async (context) => {
      try {
        await exchange(context, key);
      } catch (fault) {
        console.log(`not exchanged: ${fault.message}`);
        context.status = 400;
        context.body = { error: "invalid_grant", error_description: "the subject is not accepted" };
      }
    },
    parameters,
  );
  made.on("grant.error", (_context, error) => console.log(`grant: ${error.message} ${error.error_detail ?? ""}`));
  made.on("grant.success", (context) => console.log(`granted ${context.oidc.params.grant_type}`));
  made.on("backchannel.error", (_context, error) => console.log(`back-channel: ${error.message} ${error.cause ?? ""}`));
  return made;
}

let current = provider(signingKey()).callback();
createServer((request, response) => {
  if (request.method === "POST" && request.url === "/keys") {
    current = provider(signingKey()).callback();
    response.end("replaced");
  } else if (request.method === "POST" && /^\/(lost|found)\//.test(request.url)) {
    const [, path, account] = request.url.split("/");
    path === "lost" ? lost.add(account) : lost.delete(account);
    response.end(path);
  } else {
    current(request, response);
  }
}).listen(Number(port), "127.0.0.1", () => console.log(`issuer ${issuer}`));

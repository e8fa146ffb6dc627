/* A relying party on npm's openid-client: it speaks JSON, one object a line.

   in:  {"issuer", "client_id", "client_secret"?, "redirect_uri", "method": "basic" | "post" | "none", "dpop": true | false}
   out: {"authorize": URL}          where a browser has to go
   in:  {"callback": URL}           where the browser came back to
   out: {"seen": {...}}             what each step gave, or {"failed": ...} and exit code 1

   openid-client verifies as it goes: metadata, state, iss, the ID token's signature and claims, the nonce, the userinfo's sub. */

import { createInterface } from "node:readline";
import * as client from "openid-client";

const METHODS = { basic: client.ClientSecretBasic, post: client.ClientSecretPost, none: client.None };
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const read = async () => JSON.parse((await lines.next()).value);
const say = (object) => process.stdout.write(`${JSON.stringify(object)}\n`);

/** What an act that must be refused was refused with. */
async function refusal(act) {
  try {
    await act();
    return "accepted";
  } catch (error) {
    return error.error ?? error.code ?? String(error);
  }
}

async function configuration({ issuer, client_id, client_secret, method }) {
  const found = await client.discovery(new URL(issuer), client_id, undefined, METHODS[method](client_secret), {
    execute: [client.allowInsecureRequests], // the issuer is on loopback
  });
  client.enableNonRepudiationChecks(found); // the signature too, and not only TLS
  return found;
}

async function run(asked) {
  const config = await configuration(asked);
  const DPoP = asked.dpop ? client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256")) : undefined;
  const verifier = client.randomPKCECodeVerifier();
  const [state, nonce] = [client.randomState(), client.randomNonce()];
  say({
    authorize: client.buildAuthorizationUrl(config, {
      redirect_uri: asked.redirect_uri,
      scope: "openid profile email offline_access",
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      state,
      nonce,
      ...(DPoP && { dpop_jkt: await DPoP.calculateThumbprint() }),
    }).href,
  });

  const callback = new URL((await read()).callback);
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true };
  const otherState = await refusal(() => client.authorizationCodeGrant(config, callback, { ...checks, expectedState: "other" }));
  const tokens = await client.authorizationCodeGrant(config, callback, checks, undefined, { DPoP });
  const claims = tokens.claims();
  const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub, { DPoP });
  const fresh = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
  const access = fresh.access_token;
  const seen = {
    claims, userinfo, otherState,
    token: { token_type: tokens.token_type, expires_in: tokens.expires_in, scope: tokens.scope },
    refreshed: { claims: fresh.claims() ?? null, rotated: fresh.refresh_token !== tokens.refresh_token },
    endSession: client.buildEndSessionUrl(config, { id_token_hint: tokens.id_token }).href,
  };
  if (asked.client_secret) {
    seen.introspection = await client.tokenIntrospection(config, access);
  }
  await client.tokenRevocation(config, fresh.refresh_token ?? tokens.refresh_token);
  if (asked.client_secret) {
    seen.introspectionAfter = await client.tokenIntrospection(config, access);
  }
  seen.refreshAfter = await refusal(() => client.refreshTokenGrant(config, fresh.refresh_token ?? tokens.refresh_token, undefined, { DPoP }));
  seen.userinfoAfter = await refusal(() => client.fetchUserInfo(config, access, claims.sub, { DPoP }));
  return seen;
}

try {
  say({ seen: await run(await read()) });
  process.exit(0);
} catch (error) {
  const cause = error.cause instanceof Response ? await error.cause.text().catch(() => "") : JSON.stringify(error.cause ?? "");
  say({ failed: `${error.name}: ${error.message} (${error.code ?? ""}) ${error.error ?? ""} ${error.error_description ?? ""} ${cause}` });
  process.exit(1);
}

/* The strictest relying party that npm's openid-client can be: private_key_jwt, a signed request (JAR) that is pushed (PAR),
   PKCE, DPoP with the server's nonces; then a device without a browser, and a service for itself. It speaks JSON, one object a line.

   in:  {"issuer", "client_id", "redirect_uri", "jwk": private ES256 JWK, "resource"}
   out: {"authorize": URL}            in: {"callback": URL}
   out: {"device": {user_code, …}}    in: {"typed": true}
   out: {"seen": {...}}               or {"failed": ...} and exit code 1 */

import { createInterface } from "node:readline";
import * as client from "openid-client";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const read = async () => JSON.parse((await lines.next()).value);
const say = (object) => process.stdout.write(`${JSON.stringify(object)}\n`);

async function refusal(act) {
  try {
    await act();
    return "accepted";
  } catch (error) {
    return error.error ?? error.code ?? String(error);
  }
}

async function run(asked) {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const key = { key: await crypto.subtle.importKey("jwk", asked.jwk, algorithm, false, ["sign"]), kid: asked.jwk.kid };
  const config = await client.discovery(new URL(asked.issuer), asked.client_id, undefined, client.PrivateKeyJwt(key), {
    execute: [client.allowInsecureRequests], // the issuer is on loopback
  });
  client.enableNonRepudiationChecks(config);
  const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256"));
  const [verifier, state, nonce] = [client.randomPKCECodeVerifier(), client.randomState(), client.randomNonce()];
  const parameters = {
    redirect_uri: asked.redirect_uri, scope: "openid profile offline_access", state, nonce,
    code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
    resource: asked.issuer, dpop_jkt: await DPoP.calculateThumbprint(),
  };
  const plain = await refusal(() => client.buildAuthorizationUrlWithPAR(config, { ...parameters }, { DPoP }));
  const signed = await client.buildAuthorizationUrlWithJAR(config, parameters, key);
  const url = await client.buildAuthorizationUrlWithPAR(config, signed.searchParams, { DPoP });
  say({ authorize: url.href });

  const callback = new URL((await read()).callback);
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true };
  const tokens = await client.authorizationCodeGrant(config, callback, checks, undefined, { DPoP });
  const claims = tokens.claims();
  const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub, { DPoP });
  const fresh = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
  const access = fresh.access_token;
  const seen = {
    plain, claims, userinfo, url: url.href, token_type: tokens.token_type,
    introspection: await client.tokenIntrospection(config, access),
  };
  const another = client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256"));
  seen.anotherKey = await refusal(() => client.fetchUserInfo(config, access, claims.sub, { DPoP: another }));
  await client.tokenRevocation(config, access);
  seen.introspectionAfter = await client.tokenIntrospection(config, access);
  seen.refreshAfter = await refusal(() => client.refreshTokenGrant(config, fresh.refresh_token ?? tokens.refresh_token, undefined, { DPoP }));

  const device = await client.initiateDeviceAuthorization(config, { scope: "openid profile" });
  say({ device });
  await read();
  const there = await client.pollDeviceAuthorizationGrant(config, device, undefined, { DPoP });
  seen.device = { claims: there.claims(), token_type: there.token_type, interval: device.interval };

  const service = await client.clientCredentialsGrant(config, { scope: "introspect" }, { DPoP });
  seen.service = await client.tokenIntrospection(config, service.access_token);
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

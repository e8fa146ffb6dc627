// node-oidc-provider as its documentation sets it up, with its store in PostgreSQL or in memory.
//
//   PORT, DATABASE (a URL, or "" for memory). POST /__made makes codes, refresh tokens and access tokens before the clock
//   runs, by the provider's own models; it is loopback only, and no part of what is measured.
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import http from 'node:http';
import pg from 'pg';
import { Provider } from 'oidc-provider';

const PORT = Number(process.env.PORT), DATABASE = process.env.DATABASE || '';
const issuer = `http://127.0.0.1:${PORT}`, CALLBACK = 'https://app.example/callback', SCOPE = 'openid profile email offline_access';
const verifier = 'v'.repeat(43), challenge = createHash('sha256').update(verifier).digest('base64url');
const client_id = 'bench', client_secret = randomBytes(32).toString('hex');
const jwk = { ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig', kid: 'k' };

let Adapter;
if (DATABASE) {
  const pool = new pg.Pool({ connectionString: DATABASE, max: 4 });
  await pool.query(`CREATE TABLE kept (model text, id text, payload jsonb, grant_id text, expires_at timestamptz, consumed_at bigint, PRIMARY KEY (model, id))`);
  await pool.query('CREATE INDEX kept_grant ON kept (grant_id)');
  Adapter = class {
    constructor(name) { this.name = name; }
    async upsert(id, payload, seconds) {
      const until = seconds ? new Date(Date.now() + seconds * 1000) : null;
      await pool.query({ name: 'upsert', text: `INSERT INTO kept (model, id, payload, grant_id, expires_at) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (model, id) DO UPDATE SET payload = $3, grant_id = $4, expires_at = $5`, values: [this.name, id, payload, payload.grantId || null, until] });
    }
    async find(id) {
      const { rows: [row] } = await pool.query({ name: 'find', text: 'SELECT payload, expires_at, consumed_at FROM kept WHERE model = $1 AND id = $2', values: [this.name, id] });
      if (!row || (row.expires_at && row.expires_at < new Date())) return undefined;
      return { ...row.payload, ...(row.consumed_at ? { consumed: Number(row.consumed_at) } : undefined) };
    }
    async findByUid() { return undefined; }
    async findByUserCode() { return undefined; }
    async consume(id) { await pool.query({ name: 'consume', text: 'UPDATE kept SET consumed_at = $3 WHERE model = $1 AND id = $2', values: [this.name, id, Math.floor(Date.now() / 1000)] }); }
    async destroy(id) { await pool.query({ name: 'destroy', text: 'DELETE FROM kept WHERE model = $1 AND id = $2', values: [this.name, id] }); }
    async revokeByGrantId(grantId) { await pool.query({ name: 'revoke', text: 'DELETE FROM kept WHERE grant_id = $1', values: [grantId] }); }
  };
}

const provider = new Provider(issuer, {
  ...(Adapter ? { adapter: Adapter } : {}),
  jwks: { keys: [jwk] },
  clients: [{
    client_id, client_secret, redirect_uris: [CALLBACK], response_types: ['code'], token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'], id_token_signed_response_alg: 'ES256',
  }],
  findAccount: async (_, id) => ({ accountId: id, claims: async () => ({ sub: id, name: 'Bench Mark', email: `${id}@example.org` }) }),
  claims: { openid: ['sub'], profile: ['name'], email: ['email'] },
  features: { devInteractions: { enabled: false }, clientCredentials: { enabled: true }, introspection: { enabled: true }, dPoP: { enabled: true } },
  rotateRefreshToken: true,
  issueRefreshToken: async () => true,
  pkce: { required: () => true },
  ttl: { AuthorizationCode: 600, AccessToken: 300, RefreshToken: 86400, IdToken: 600, Grant: 86400, ClientCredentials: 300 },
});

async function granted(accountId) {
  const grant = new provider.Grant({ accountId, clientId: client_id });
  grant.addOIDCScope(SCOPE);
  return grant.save();
}

const made = {
  async codes(count, client) {
    const found = [];
    for (let n = 0; n < count; n += 1) {
      const accountId = `person-${n % 50}`;
      found.push(await new provider.AuthorizationCode({
        client, accountId, grantId: await granted(accountId), scope: SCOPE, redirectUri: CALLBACK, nonce: 'n', codeChallenge: challenge,
        codeChallengeMethod: 'S256', authTime: Math.floor(Date.now() / 1000), gty: 'authorization_code',
      }).save());
    }
    return found;
  },
  async refresh_tokens(count, client) {
    const found = [];
    for (let n = 0; n < count; n += 1) {
      const accountId = `person-${n % 50}`;
      found.push(await new provider.RefreshToken({
        client, accountId, grantId: await granted(accountId), scope: SCOPE, nonce: 'n', authTime: Math.floor(Date.now() / 1000), gty: 'authorization_code',
      }).save());
    }
    return found;
  },
  async access_token(_, client) {
    return new provider.AccessToken({ client, accountId: 'person-0', grantId: await granted('person-0'), scope: SCOPE, gty: 'authorization_code' }).save();
  },
};

const answer = provider.callback();
http.createServer(async (request, response) => {
  if (!request.url.startsWith('/__made')) return answer(request, response);
  const asked = new URL(request.url, issuer).searchParams, client = await provider.Client.find(client_id);
  const found = asked.get('what') === 'first' ? { client_id, client_secret, code_verifier: verifier, redirect_uri: CALLBACK }
    : await made[asked.get('what')](Number(asked.get('count')), client);
  response.setHeader('Content-Type', 'application/json');
  return response.end(JSON.stringify(found));
}).listen(PORT, '127.0.0.1');

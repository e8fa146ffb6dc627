/* The device's key and its proofs: docs/device-protocol.md, in a browser.

   The private key is made non-extractable, so that no script (ours included) can ever read it: a stolen page can use the
   key while it runs, but cannot carry it away. It lives in IndexedDB, the only store that keeps a CryptoKey as it is. */

const DATABASE = "ramet";
const STORE = "keys";
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" };

/** Why this browser cannot hold a device key, in words for the person; or null if it can. */
export function obstacle() {
  if (!window.isSecureContext) {
    return "This page was not opened over a secure connection (https), so the browser will not make a key here.";
  }
  if (!window.crypto?.subtle || !window.indexedDB) {
    return "This browser cannot make or keep a key. Try a current version of Chrome, Edge, Firefox or Safari, and not a private window.";
  }
  return null;
}

/** RFC 7515 §2: base64url without padding. */
export function base64url(bytes) {
  const text = String.fromCharCode(...new Uint8Array(bytes));
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

const utf8 = (text) => new TextEncoder().encode(text);

/** RFC 7638 §3: SHA-256 over the required members in lexical order. */
export async function thumbprint({ crv, kty, x, y }) {
  return base64url(await crypto.subtle.digest("SHA-256", utf8(JSON.stringify({ crv, kty, x, y }))));
}

/** A fresh key: {pair, jwk, jkt}. Only the public half has a form that can leave this device. */
export async function makeKey() {
  const pair = await crypto.subtle.generateKey(ALGORITHM, false, ["sign", "verify"]);
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  const jwk = { kty, crv, x, y };
  return { pair, jwk, jkt: await thumbprint(jwk) };
}

/* A phone whose clock is wrong would have every proof refused; the server's own Date header sets it right. */
let secondsBehind = 0;

/** Take the server's time from an answer that came from the server just now. */
export function learnTime(response) {
  const theirs = Date.parse(response.headers.get("Date") ?? "");
  if (!Number.isNaN(theirs)) {
    secondsBehind = Math.round((theirs - Date.now()) / 1000);
  }
}

/** A compact JWS (ES256). `header` has the typ and either `jwk` (first contact) or `kid`; iat and jti are added here.
    WebCrypto's ECDSA signature is already the raw r‖s that RFC 7518 §3.4 wants. */
export async function sign(pair, header, claims) {
  const iat = Math.floor(Date.now() / 1000) + secondsBehind;
  const jti = base64url(crypto.getRandomValues(new Uint8Array(16)));
  const parts = [{ ...header, alg: "ES256" }, { ...claims, iat, jti }];
  const body = parts.map((part) => base64url(utf8(JSON.stringify(part)))).join(".");
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.privateKey, utf8(body));
  return `${body}.${base64url(signature)}`;
}

function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function within(mode, act) {
  const opening = indexedDB.open(DATABASE, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
  const database = await settled(opening);
  try {
    const transaction = database.transaction(STORE, mode);
    const finished = new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    });
    const result = await settled(act(transaction.objectStore(STORE)));
    await finished; // a key counts as kept only when the browser has committed it
    return result;
  } finally {
    database.close();
  }
}

/** What is kept under `name` (the issuer, or a binding under way): {pair, jkt, credential_id, name} or undefined. */
export const find = (name) => within("readonly", (store) => store.get(name));

/** Keep a record, replacing what stood there. */
export const keep = (name, record) => within("readwrite", (store) => store.put(record, name));

/** Forget a record; a key that is forgotten is gone for good. */
export const forget = (name) => within("readwrite", (store) => store.delete(name));

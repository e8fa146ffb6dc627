/* WebAuthn in a browser: the server's JSON in, the authenticator's answer out (Web Authentication Level 3, §5.1). */

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const described = (keys) => keys.map((key) => ({ ...key, id: bytes(key.id) }));

/** Why this browser cannot do it, in words, or undefined. */
export function obstacle() {
  if (!window.isSecureContext) {
    return "This page was not loaded securely, so the browser does not let it use keys.";
  }
  return window.PublicKeyCredential ? undefined : "This browser does not know passkeys.";
}

/** Fresh options from the server; a challenge serves once and for five minutes. */
export async function ask(form) {
  const token = form.elements.csrfmiddlewaretoken.value;
  const body = new URLSearchParams({ csrfmiddlewaretoken: token });
  const answer = await fetch(form.dataset.options, { method: "POST", body, credentials: "same-origin" });
  if (!answer.ok) {
    throw new Error("Your sign-in has ended. Load the page again.");
  }
  return answer.json();
}

function json(credential, response) {
  const { id, type, authenticatorAttachment } = credential;
  const clientExtensionResults = credential.getClientExtensionResults();
  return JSON.stringify({ id, rawId: id, type, authenticatorAttachment, response, clientExtensionResults });
}

/** Make a key, and give the answer as JSON. */
export async function create(options) {
  const publicKey = {
    ...options, challenge: bytes(options.challenge), user: { ...options.user, id: bytes(options.user.id) },
    excludeCredentials: described(options.excludeCredentials),
  };
  const made = await navigator.credentials.create({ publicKey });
  return json(made, {
    clientDataJSON: text(made.response.clientDataJSON), attestationObject: text(made.response.attestationObject),
    transports: made.response.getTransports?.() ?? [],
  });
}

/** Ask a key, and give the answer as JSON. */
export async function get(options, more = {}) {
  const publicKey = { ...options, challenge: bytes(options.challenge), allowCredentials: described(options.allowCredentials) };
  const given = await navigator.credentials.get({ publicKey, ...more });
  const { clientDataJSON, authenticatorData, signature, userHandle } = given.response;
  return json(given, {
    clientDataJSON: text(clientDataJSON), authenticatorData: text(authenticatorData), signature: text(signature),
    userHandle: userHandle?.byteLength ? text(userHandle) : undefined,
  });
}

/** What went wrong, in words. */
export function words(error) {
  switch (error.name) {
    case "NotAllowedError": return "The key was not used: it was cancelled, took too long, or did not recognise you. Try again.";
    case "InvalidStateError": return "This key is in your account already. Use another one.";
    case "NotSupportedError": return "This key cannot make what is needed here. Use another one.";
    case "SecurityError": return "The browser does not let this page use keys at this address.";
    case "Error": return error.message;
    default: return "The key could not be used. Try again.";
  }
}

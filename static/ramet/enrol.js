/* On the new device: make a key, pin it to the binding code, bind it, and wait for the desktop (docs/device-protocol.md §1–3).

   The key is kept as "under way" from the moment it meets the code, because the code belongs to that key from then on: a
   reload, a dropped connection or a refused passphrase must find the same key again, or the code would be burnt. Only when
   the desktop has confirmed does it take the place of a key that this device had before. */

import { clearCode, complain, form, problem as problemOfCode, platform, sentCode, show, showWaiting, sleep, stop, takeCode, useCode } from "./enrol-page.js";
import { find, forget, keep, learnTime, makeKey, obstacle, sign } from "./device.js";

const { issuer } = document.body.dataset;
const UNDER_WAY = `${issuer}#under-way`;
const { code, device_name: deviceName, passphrase, passphrase_again: again } = form.elements;

/** An answer of the API that says no: `code` for us, the message for the person. */
class Refused extends Error {
  constructor(status, body) {
    super(body.error_description || "The server refused this, without saying why.");
    this.status = status;
    this.code = body.error ?? "";
  }
}

let endpoints;

/** Find the endpoints, as every device does; the paths are used at this origin, which is the only one the page may ask. */
async function discover() {
  const response = await fetch("/.well-known/openid-configuration", { cache: "no-store" });
  learnTime(response);
  const found = await response.json();
  endpoints = {
    challenge: new URL(found.ramet_challenge_endpoint).pathname,
    binding: new URL(found.ramet_binding_endpoint).pathname,
  };
}

async function post(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify(body),
    cache: "no-store",
    credentials: "omit", // the device proves itself by its key; a session of this browser has no say here
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw Object.assign(new Refused(response.status, answer), { wait: Number(response.headers.get("Retry-After")) || 0 });
  }
  return answer;
}

function problem() {
  const found = problemOfCode(deviceName);
  if (found) return found;
  if ([...passphrase.value].length < 8) return ["The passphrase needs 8 characters or more.", passphrase];
  if (passphrase.value !== again.value) return ["The two passphrases are not the same. Type both again.", again];
  return null;
}

/** Protocol §1 and §2. Returns the record of the binding under way. */
async function bind() {
  const answer = sentCode();
  const known = await find(UNDER_WAY);
  const key = known ?? (await makeKey());
  await keep(UNDER_WAY, key);
  const { challenge } = await post(endpoints.challenge, { ...answer, jwk: key.jwk });
  const proof = await sign(key.pair, { typ: "ramet-binding+jwt", jwk: key.jwk }, { aud: issuer, nonce: challenge });
  // No clients: this key signs in through the browser only, and needs no right to ask for tokens by itself.
  const request = { ...answer, proof, device_name: deviceName.value.trim(), passphrase: passphrase.value, clients: [] };
  const bound = await post(endpoints.binding, request);
  const ends = Date.now() + bound.expires_in * 1000;
  const record = { ...key, name: bound.device_name, number: bound.number, binding: bound.binding_id, interval: bound.interval, ends };
  await keep(UNDER_WAY, record);
  return record;
}

/** What a refusal means for the key: one that was bound before can never serve again (409). */
async function refused(error) {
  if (!(error instanceof Refused)) {
    return complain("The server could not be reached. Check the connection and press the button again.");
  }
  if (error.status === 409) {
    await forget(UNDER_WAY);
    return complain(`${error.message} Get a new code on your computer, then try again.`, code);
  }
  const seconds = error.wait ? ` Wait ${error.wait} seconds, then try again.` : "";
  return complain(error.message + seconds, /passphrase/i.test(error.code + error.message) ? passphrase : undefined);
}

async function submit(event) {
  event.preventDefault();
  document.getElementById("form-error").hidden = true;
  const found = problem();
  if (found) {
    return complain(...found);
  }
  const button = form.querySelector("button[type=submit]");
  button.disabled = true;
  try {
    await discover();
    // Without this the browser may throw the key away when it is short of space. It may say no; the key still works.
    await navigator.storage?.persist?.();
    const record = await bind();
    passphrase.value = again.value = "";
    await wait(record);
  } catch (error) {
    await refused(error);
  } finally {
    button.disabled = false;
  }
}

/** Protocol §3: one question about the binding; "pending" also when the network was away for a moment. */
async function ask({ pair, jkt, binding }) {
  try {
    if (!endpoints) await discover(); // after a reload
    const proof = await sign(pair, { typ: "ramet-binding-status+jwt", kid: jkt }, { aud: issuer, sub: binding });
    return await post(`${endpoints.binding}/${encodeURIComponent(binding)}`, { proof });
  } catch (error) {
    if (error instanceof Refused && error.status < 500 && error.status !== 429) {
      return { status: "refused", why: error.message };
    }
    return { status: "pending", interval: error.wait };
  }
}

/** Show number and name until the desktop has answered. */
async function wait(record) {
  showWaiting(record.number, record.name);
  let answer = { status: "pending" };
  while (answer.status === "pending" && Date.now() < record.ends + 10_000) {
    await sleep(answer.interval || record.interval || 2);
    answer = await ask(record);
  }
  if (answer.status === "bound") {
    const { pair, jkt, name } = record;
    await keep(issuer, { pair, jkt, name, credential_id: answer.credential_id });
    await forget(UNDER_WAY); // only now: a tab that dies in between must still find the key
    return show("done");
  }
  await forget(UNDER_WAY);
  return stop(answer.why ?? {
    refused: "Your computer said no to this device. If it was you, check that the numbers agree and start again with a new code.",
  }[answer.status] ?? "The time for this code is over. Get a new code on your computer and start again.");
}

async function suggestName() {
  const hints = await navigator.userAgentData?.getHighEntropyValues?.(["model", "platform"]).catch(() => null);
  deviceName.value ||= hints?.model || hints?.platform || platform();
}

async function start() {
  const given = takeCode();
  const reason = obstacle();
  if (reason) {
    return stop(reason);
  }
  if (location.origin !== new URL(issuer).origin) {
    return stop(`Open this page as ${issuer}/enrol: a key made under another address would not work there.`);
  }
  useCode(given);
  document.getElementById("replace").addEventListener("click", () => show("form"));
  document.getElementById("again").addEventListener("click", () => { clearCode(); show("form"); });
  form.addEventListener("submit", submit);
  await suggestName();

  const underWay = await find(UNDER_WAY);
  if (underWay?.binding && Date.now() < underWay.ends) {
    return wait(underWay); // the page was closed or reloaded while the desktop was asked
  }
  if (underWay?.binding) {
    await forget(UNDER_WAY);
  }
  const existing = await find(issuer);
  if (existing?.credential_id) {
    document.getElementById("existing-name").textContent = existing.name;
    return show("existing");
  }
  return show("form");
}

start().catch(() => stop("This browser refused to make or open its key storage. Private windows often do: use an ordinary one."));

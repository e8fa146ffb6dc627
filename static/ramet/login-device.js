/* Sign in with this device: sign the server's one-time challenge with the key, and post it with the passphrase. */

import { find, learnTime, obstacle, sign } from "./device.js";

const { issuer } = document.body.dataset;
const form = document.getElementById("device-login");
const trouble = document.getElementById("trouble");

function refuse(text) {
  document.getElementById("trouble-text").textContent = text;
  document.getElementById("looking").hidden = true;
  form.hidden = true;
  trouble.hidden = false;
}

async function submit(event, key) {
  event.preventDefault();
  const button = form.querySelector("button[type=submit]");
  button.disabled = true; // the challenge serves once: a second press must not send it twice
  try {
    const claims = { aud: issuer, nonce: form.dataset.challenge };
    form.elements.proof.value = await sign(key.pair, { typ: "ramet-login+jwt", kid: key.jkt }, claims);
    form.submit();
  } catch {
    refuse("The key on this device could not be used. Its storage may have been cleared or damaged.");
  }
}

async function start() {
  const reason = obstacle();
  if (reason) {
    return refuse(reason);
  }
  const key = await find(issuer);
  if (!key?.credential_id) {
    return refuse("There is no key of yours in this browser. It may have been cleared, or it is in another browser or profile.");
  }
  // Only for the time: a failure here must not stop the sign-in.
  await fetch("/.well-known/openid-configuration", { cache: "no-store" }).then(learnTime).catch(() => {});
  form.addEventListener("submit", (event) => submit(event, key));
  form.querySelector("[data-device-name]").textContent = key.name;
  form.querySelector("[autocomplete=username]").value = key.name;
  document.getElementById("looking").hidden = true;
  form.hidden = false;
  form.elements.passphrase.focus();
}

// Coming back by the Back button shows a page whose challenge is spent: fetch a new one.
window.addEventListener("pageshow", (event) => event.persisted && location.reload());
start().catch(() => refuse("This browser refused to open its key storage. Private windows often do."));

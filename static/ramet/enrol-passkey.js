/* On the phone: read the code, make a passkey, and wait for the desktop. The code belongs to this browser once it was shown. */

import { create, obstacle, words } from "./passkey.js";

const form = document.getElementById("enrol-form");
const { code, username, name: deviceName } = form.elements;
const parts = ["starting", "trouble", "form", "wait", "done"];
const LONG_CODE = 24;
const PAUSE = 2000;

const bare = (text) => text.replace(/[\s-]/g, "");
const isShort = () => bare(code.value).length < LONG_CODE;
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function show(part) {
  for (const one of parts) {
    document.getElementById(one).hidden = one !== part;
  }
  document.querySelector(`#${part} [tabindex="-1"]`)?.focus();
}

function stop(message) {
  document.getElementById("trouble-text").textContent = message;
  show("trouble");
}

function complain(message, field) {
  const box = document.getElementById("form-error");
  for (const input of form.querySelectorAll("[aria-invalid]")) {
    input.removeAttribute("aria-invalid");
  }
  document.getElementById("form-error-text").textContent = message;
  box.hidden = false;
  field?.setAttribute("aria-invalid", "true");
  (field ?? box).focus();
}

/** A POST of this page; what it refuses is an Error with words for the person. */
async function post(path, fields) {
  const body = new URLSearchParams({ csrfmiddlewaretoken: form.elements.csrfmiddlewaretoken.value, ...fields });
  const response = await fetch(path, { method: "POST", body, credentials: "same-origin", cache: "no-store", headers: { Accept: "application/json" } });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw Object.assign(new Error(answer.error_description || "The server refused this, without saying why."), { status: response.status });
  }
  return answer;
}

function problem() {
  if (!bare(code.value)) return ["Enter the code that your computer shows.", code];
  if (isShort() && !username.value.trim()) return ["Enter your user name too: the short code needs it.", username];
  if (!deviceName.value.trim()) return ["Give this device a name.", deviceName];
  return null;
}

async function submit(event) {
  event.preventDefault();
  document.getElementById("form-error").hidden = true;
  const found = problem();
  if (found) {
    complain(...found);
    return;
  }
  const button = form.querySelector("button[type=submit]");
  button.disabled = true;
  const shown = { code: code.value.trim(), ...(isShort() && { username: username.value.trim() }) };
  try {
    const response = await create(await post("/enrol/passkey/options", shown));
    const bound = await post("/enrol/passkey/answer", { ...shown, name: deviceName.value.trim(), response });
    await wait(bound);
  } catch (error) {
    complain(error.name === "TypeError" ? "The server could not be reached. Check the connection and press the button again." : words(error));
  } finally {
    button.disabled = false;
  }
}

/** Show number and name until the desktop has answered. */
async function wait(bound) {
  document.getElementById("number").textContent = bound.number;
  document.getElementById("bound-name").textContent = bound.device_name;
  show("wait");
  const ends = Date.now() + bound.expires_in * 1000;
  let status = "pending";
  while (status === "pending" && Date.now() < ends + 10_000) {
    await sleep(PAUSE);
    try {
      ({ status } = await post(`/enrol/passkey/${encodeURIComponent(bound.binding_id)}`, {}));
    } catch (error) {
      if (error.status && error.status < 500 && error.status !== 429) status = "refused";
    }
  }
  if (status === "bound") {
    show("done");
    return;
  }
  stop(status === "refused"
    ? "Your computer said no to this device. If it was you, check that the numbers agree and start again with a new code. Then delete the passkey from this device: it is of no use."
    : "The time for this code is over. Get a new code on your computer and start again. Then delete the passkey from this device: it is of no use.");
}

/** Take the code out of the address at once, so that it stays out of the history and of what is shared or synced. */
function takeCode() {
  const given = new URLSearchParams(location.hash.slice(1)).get("code");
  history.replaceState(null, "", location.pathname);
  return given;
}

function arrange(given) {
  document.getElementById("from-qr").hidden = !given;
  document.getElementById("typed").hidden = Boolean(given);
  document.getElementById("username-field").hidden = !isShort();
}

function suggestName() {
  const touchMac = /Macintosh/.test(navigator.userAgent) && navigator.maxTouchPoints > 1; // an iPad calls itself a Mac
  const seen = touchMac ? "iPad" : /iPhone|iPad|Android|Windows|Macintosh|CrOS|Linux/.exec(navigator.userAgent)?.[0];
  deviceName.value ||= { Macintosh: "Mac", CrOS: "Chromebook" }[seen] ?? seen ?? "";
}

const given = takeCode();
const why = obstacle();
if (why) {
  stop(why);
} else {
  code.value = given ?? "";
  arrange(given);
  suggestName();
  code.addEventListener("input", () => arrange(null));
  document.getElementById("other-code").addEventListener("click", () => { code.value = ""; arrange(null); code.focus(); });
  form.addEventListener("submit", submit);
  show("form");
}

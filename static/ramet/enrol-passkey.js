/* On the phone: read the code, make a passkey, and wait for the desktop. The code belongs to this browser once it was shown. */

import { form, platform, problem, sentCode, show, showWaiting, sleep, stop, complain, takeCode, useCode } from "./enrol-page.js";
import { create, obstacle, words } from "./passkey.js";

const { name: deviceName } = form.elements;
const PAUSE = 2;

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

async function submit(event) {
  event.preventDefault();
  document.getElementById("form-error").hidden = true;
  const found = problem(deviceName);
  if (found) {
    complain(...found);
    return;
  }
  const button = form.querySelector("button[type=submit]");
  button.disabled = true;
  const shown = sentCode();
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
  showWaiting(bound.number, bound.device_name);
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

const given = takeCode();
const why = obstacle();
if (why) {
  stop(why);
} else {
  useCode(given);
  deviceName.value ||= platform();
  form.addEventListener("submit", submit);
  show("form");
}

/* The parts that both enrolment pages share: the sections of the page, the code of the desktop, the waiting number. */

const LONG_CODE = 24;
export const form = document.getElementById("enrol-form");
const { code, username } = form.elements;

export const bare = (text) => text.replace(/[\s-]/g, "");
export const isShort = () => bare(code.value).length < LONG_CODE;
export const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** The code as it is sent: with the user name while it is short. */
export const sentCode = () => ({ code: code.value.trim(), ...(isShort() && { username: username.value.trim() }) });

/** Show one section of the page and move the focus to its heading. */
export function show(name) {
  for (const part of ["starting", "trouble", "existing", "form", "wait", "done"]) {
    document.getElementById(part)?.toggleAttribute("hidden", part !== name);
  }
  document.querySelector(`#${name} [tabindex="-1"]`)?.focus();
}

/** Show a refusal with its reason and the ways to go on. */
export function stop(message) {
  document.getElementById("trouble-text").textContent = message;
  show("trouble");
}

/** Show a fault above the form, and at its field where there is one. */
export function complain(message, field) {
  const box = document.getElementById("form-error");
  for (const input of form.querySelectorAll("[aria-invalid]")) {
    input.removeAttribute("aria-invalid");
  }
  document.getElementById("form-error-text").textContent = message;
  box.hidden = false;
  field?.setAttribute("aria-invalid", "true");
  (field ?? box).focus();
}

/** The first fault of the fields that both pages have, as the arguments of `complain`, or null. */
export function problem(deviceName) {
  if (!bare(code.value)) return ["Enter the code that your computer shows.", code];
  if (isShort() && !username.value.trim()) return ["Enter your user name too: the short code needs it.", username];
  if (!deviceName.value.trim()) return ["Give this device a name.", deviceName];
  return null;
}

/** Show the number and the name that the desktop shows too. */
export function showWaiting(number, name) {
  document.getElementById("number").textContent = number;
  document.getElementById("bound-name").textContent = name;
  show("wait");
}

/** The kind of this device, in a word, from its user agent. */
export function platform() {
  const agent = navigator.userAgent;
  const touchMac = /Macintosh/.test(agent) && navigator.maxTouchPoints > 1; // an iPad reports itself as a Mac
  const seen = touchMac ? "iPad" : /iPhone|iPad|Android|Windows|Macintosh|CrOS|Linux/.exec(agent)?.[0];
  return { Macintosh: "Mac", CrOS: "Chromebook" }[seen] ?? seen ?? "";
}

/** Hide the fields of the code where a QR code brought it; ask for the user name only while the code is short. */
function arrange(given) {
  document.getElementById("from-qr").hidden = !given;
  document.getElementById("typed").hidden = Boolean(given);
  document.getElementById("username-field").hidden = !isShort();
}

/** Forget the code, so that another can be typed. */
export function clearCode() {
  code.value = "";
  arrange(null);
}

/** Take the code out of the address at once, so that it stays out of the history and of shared or synced addresses. */
export function takeCode() {
  const given = new URLSearchParams(location.hash.slice(1)).get("code");
  history.replaceState(null, "", location.pathname);
  return given;
}

/** Put the code of the address into the form, and let the person type another. */
export function useCode(given) {
  code.value = given ?? "";
  arrange(given);
  code.addEventListener("input", () => arrange(null));
  document.getElementById("other-code").addEventListener("click", () => { clearCode(); code.focus(); });
}

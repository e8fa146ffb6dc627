/* A page with one ceremony: its form is shown if this browser can, and is sent when the key has answered. */

import { ask, create, get, obstacle, words } from "./passkey.js";

const form = document.querySelector("form[data-ceremony]");
const trouble = document.getElementById("trouble");
const button = form.querySelector("button[type=submit]");

function say(what) {
  document.getElementById("trouble-text").textContent = what;
  trouble.hidden = !what;
}

async function submit(event) {
  event.preventDefault();
  button.disabled = true; // one ceremony at a time
  say("");
  try {
    const options = await ask(form);
    form.elements.response.value = await (form.dataset.ceremony === "create" ? create(options) : get(options));
    form.submit();
  } catch (error) {
    say(words(error));
    button.disabled = false;
    button.focus();
  }
}

const why = obstacle();
document.getElementById("looking").hidden = true;
if (why) {
  say(why);
} else {
  form.hidden = false;
  form.querySelector("[data-first]")?.focus();
  form.addEventListener("submit", submit);
}

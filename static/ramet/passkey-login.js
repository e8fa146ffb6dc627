/* On the sign-in page: a button for a key, and the browser's own offer of passkeys in the user name field (conditional UI). */

import { ask, get, obstacle, words } from "./passkey.js";

const RENEWED = 270_000; // a challenge lives five minutes
const form = document.getElementById("passkey-login");
const link = document.getElementById("passkey-offer");
const trouble = document.getElementById("passkey-trouble");
let waiting = new AbortController();

async function use(more) {
  form.elements.response.value = await get(await ask(form), more);
  form.submit();
}

async function press(event) {
  event.preventDefault();
  waiting.abort(); // a browser runs one ceremony at a time
  trouble.hidden = true;
  try {
    await use({});
  } catch (error) {
    trouble.textContent = words(error);
    trouble.hidden = false;
    offer();
  }
}

function offer() {
  waiting = new AbortController();
  const { signal } = waiting;
  use({ mediation: "conditional", signal }).catch(() => {}); // nobody asked for it, so nobody is told
}

if (!obstacle()) {
  link.addEventListener("click", press);
  if (await PublicKeyCredential.isConditionalMediationAvailable?.()) {
    offer();
    setInterval(() => {
      waiting.abort();
      offer();
    }, RENEWED);
  }
}

/* On the sign-in page: offer "Use this device" first, but only where this browser really holds a key of this issuer. */

import { find, obstacle } from "./device.js";

const offer = document.getElementById("device-offer");
const plain = document.getElementById("device-link");

async function show() {
  const key = obstacle() ? undefined : await find(document.body.dataset.issuer);
  if (!key?.credential_id) {
    return;
  }
  offer.querySelector("[data-device-name]").textContent = key.name;
  offer.hidden = false;
  plain.hidden = true; // one way to say it is enough
}

// Storage may be switched off: then the plain link at the bottom is what there is.
show().catch(() => {});

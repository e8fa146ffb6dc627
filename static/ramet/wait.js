/* On the desktop, while a device is being added: ask every two seconds whether something happened, and show the time left.
   The page is loaded anew only when the state changes, because the server shows the code a single time. */

const box = document.getElementById("binding");
const { status, state } = box.dataset;
const bar = document.getElementById("time-bar");
const words = document.getElementById("time-words");
const end = Date.now() + Number(box.dataset.secondsLeft) * 1000;

function tick() {
  const left = Math.max(0, Math.round((end - Date.now()) / 1000));
  bar.value = left;
  const [minutes, seconds] = [Math.floor(left / 60), String(left % 60).padStart(2, "0")];
  words.textContent = `${minutes}:${seconds} left`;
}

async function ask() {
  try {
    const response = await fetch(status, { headers: { Accept: "application/json" }, cache: "no-store" });
    const type = response.headers.get("Content-Type") ?? "";
    // A redirect to the sign-in page means that the session ended: show that, rather than wait for ever.
    const ended = response.redirected || response.status === 401 || response.status === 403 || response.status === 404;
    const changed = response.ok && type.includes("json") && (await response.json()).status !== state;
    if (ended || changed) {
      location.reload();
      return;
    }
  } catch {
    // The network went away for a moment; the next question may be answered.
  }
  setTimeout(ask, 2000);
}

if (bar && words) {
  tick();
  setInterval(tick, 1000);
}
setTimeout(ask, 2000);

/* "Show" beside every password field (SP 800-63B-4 §3.1.1.2: offer to display what is typed). */

for (const input of document.querySelectorAll("input[type=password]")) {
  const label = document.querySelector(`label[for="${input.id}"]`).textContent.trim();
  const row = document.createElement("div");
  const button = document.createElement("button");
  const paint = () => {
    const shown = input.type === "text";
    button.textContent = shown ? "Hide" : "Show";
    button.setAttribute("aria-label", `${button.textContent} ${label}`);
  };
  row.className = "reveal";
  button.type = "button";
  button.className = "quiet";
  button.addEventListener("click", () => {
    input.type = input.type === "password" ? "text" : "password";
    paint();
  });
  input.replaceWith(row);
  row.append(input, button);
  if (input.autofocus) {
    input.focus(); // moving an element takes its focus away
  }
  // Sent as a password field, so that the browser does not remember what was typed as ordinary text.
  input.form.addEventListener("submit", () => { input.type = "password"; });
  paint();
}

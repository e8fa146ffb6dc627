/* A button that prints makes sense only where a script can do it: so the script shows it. */

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

/* A button that copies makes sense only where a script can do it: so the script shows it. */

for (const button of document.querySelectorAll("[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  const told = button.parentElement.querySelector("[data-copied]");
  const tell = (words) => {
    told.textContent = ""; // so that a screen reader says it a second time too
    setTimeout(() => { told.textContent = words; }, 50);
  };
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    const lines = source.children.length ? [...source.children] : [source];
    try {
      await navigator.clipboard.writeText(lines.map((line) => line.textContent.trim()).join("\n"));
      tell("Copied");
    } catch {
      tell("Not copied: select the text and copy it yourself");
    }
  });
}

/* A login page that is looked at again goes on by itself, if the person has signed in in another tab since. */

document.addEventListener("visibilitychange", async () => {
  if (document.visibilityState !== "visible") {
    return;
  }
  try {
    const answer = await fetch(location.href, { redirect: "manual", credentials: "same-origin" });
    if (answer.type === "opaqueredirect") {
      location.reload();
    }
  } catch {
    // offline: the page stays as it is
  }
});

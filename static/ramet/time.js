/* The server writes times in UTC; the reader's own zone and language are known only here. */

for (const element of document.querySelectorAll("time[datetime]")) {
  const moment = new Date(element.dateTime);
  if (!Number.isNaN(moment.getTime())) {
    const style = element.hasAttribute("data-day") ? { dateStyle: "medium" } : { dateStyle: "medium", timeStyle: "short" };
    element.title = element.textContent;
    element.textContent = new Intl.DateTimeFormat(document.documentElement.lang, style).format(moment);
  }
}

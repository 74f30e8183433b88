"use strict";
// Brings the changing part of a page anew while the page is seen. Without this script every page still works.

(() => {
  const EVERY_MS = 2000;
  const PATIENCE_MS = 10000;
  const live = document.getElementById("live");
  const updated = document.getElementById("updated");
  const news = document.getElementById("news");
  if (!live || !document.getElementById("summary")) return;

  let tag = "";
  let timer = 0;

  function keepPlace(change) {
    const focused = document.activeElement && live.contains(document.activeElement) ? document.activeElement.id : "";
    const scrolled = [...live.querySelectorAll(".scroll[id]")].map((one) => [one.id, one.scrollLeft, one.scrollTop]);
    change();
    for (const [id, left, top] of scrolled) {
      const one = document.getElementById(id);
      if (one) one.scrollTo(left, top);
    }
    const wanted = focused && document.getElementById(focused);
    if (wanted) wanted.focus({ preventScroll: true });
  }

  // A screen reader hears what has changed in one sentence, not the whole page.
  function tell(sentence) {
    if (news && news.textContent !== sentence) news.textContent = sentence;
  }

  async function look() {
    const heard = AbortSignal.timeout(PATIENCE_MS);
    const headers = tag ? { "If-None-Match": tag } : {};
    const answer = await fetch(live.dataset.live + "?part=live", { headers, signal: heard, cache: "no-store" });
    if (answer.status === 401) return location.assign("/login");
    if (answer.status === 200) {
      const text = await answer.text();
      tag = answer.headers.get("ETag") || "";
      const before = document.getElementById("summary").textContent;
      keepPlace(() => { live.innerHTML = text; });
      const now = document.getElementById("summary").textContent;
      if (now !== before) tell(now);
    } else if (answer.status !== 304) {
      throw new Error(String(answer.status));
    }
    live.classList.remove("old");
    if (updated) updated.textContent = "Updated " + new Date().toISOString().slice(11, 19) + ".";
  }

  async function go() {
    clearTimeout(timer);
    try {
      await look();
    } catch {
      live.classList.add("old");
      tell("The panel does not answer: what is shown is old.");
      if (updated) updated.textContent = "The panel does not answer: what is shown is old.";
    }
    if (!document.hidden) timer = setTimeout(go, EVERY_MS);
  }

  document.addEventListener("visibilitychange", () => { if (!document.hidden) go(); });
  timer = setTimeout(go, EVERY_MS);
})();

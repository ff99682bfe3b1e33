"use strict";
(() => {
  const EVERY_MS = 1000;
  const figures = document.getElementById("figures"), state = document.getElementById("state");
  const say = (words) => { if (state.textContent !== words) state.textContent = words; };

  async function refresh() {
    if (!document.hidden) {
      try {
        const answer = await fetch("/live/figures");
        if (!answer.ok) throw new Error(answer.statusText);
        figures.innerHTML = await answer.text();
        say("Live");
      } catch {
        say("The server has ended, or does not answer: these are its last figures");
      }
    }
    setTimeout(refresh, EVERY_MS);
  }
  setTimeout(refresh, EVERY_MS);
})();

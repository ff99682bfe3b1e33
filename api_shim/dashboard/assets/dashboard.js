/* All works without it, but that nothing refreshes by itself. */
"use strict";

const EVERY_MS = 1000;
document.documentElement.classList.add("js");

function signInByFragment() {
  const mark = "#token=";
  if (!location.hash.startsWith(mark)) return;
  const token = location.hash.slice(mark.length);
  history.replaceState(null, "", location.pathname + location.search);
  const field = document.querySelector("[data-token]");
  if (!field) return;
  field.value = token;
  field.form.requestSubmit();
}

/* Only what differs changes, so that focus, selection and scrolling stay. */
function update(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  if (old.nodeType === Node.ELEMENT_NODE) {
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name); // what somebody has unfolded stays
    }
  }
  updateChildren(old, fresh);
}

const isMore = (node) => node.nodeType !== Node.TEXT_NODE || node.data.trim() !== "";

function updateChildren(old, fresh) {
  const before = [...old.childNodes].filter(isMore);
  const after = [...fresh.childNodes].filter(isMore);
  after.forEach((child, at) => (at < before.length ? update(before[at], child) : old.append(child)));
  before.slice(after.length).forEach((child) => child.remove());
}

function live(region) {
  const state = document.querySelector("[data-live-state]");
  const pause = document.querySelector("[data-pause]");
  let paused = false;
  const say = (words) => {
    if (state.textContent !== words) state.textContent = words;
  };
  const refresh = async () => {
    if (!paused && !document.hidden) {
      try {
        const answer = await fetch(region.dataset.live, { redirect: "error" });
        if (answer.status === 401) location.reload();
        if (!answer.ok) throw new Error(answer.statusText);
        const fresh = document.createElement("template");
        fresh.innerHTML = await answer.text();
        if (!paused) {
          updateChildren(region, fresh.content);
          say("Live");
        }
      } catch {
        say("The server does not answer");
      }
    }
    setTimeout(refresh, EVERY_MS);
  };
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    say(paused ? "Paused" : "Live");
  });
  setTimeout(refresh, EVERY_MS);
}

function copying(button) {
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      button.textContent = "Selected";
    }
  });
}

signInByFragment();
document.querySelectorAll("[data-live]").forEach(live);
document.querySelectorAll("[data-copy]").forEach(copying);

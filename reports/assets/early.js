"use strict";
// Before anything is painted: the theme that a reader chose, and room for what only scripts fill.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  try {
    const chosen = localStorage.getItem("e80sim-theme");
    if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  } catch { /* a private window keeps nothing */ }
})();

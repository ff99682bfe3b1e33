"use strict";
(() => {
  // One stretch of time for all charts over it: dragged over in any of them, or set with two sliders.
  const panel = document.querySelector(".stretch");
  if (!panel) return;
  const [from, to] = panel.querySelectorAll("input");
  const told = panel.querySelector("output");
  const whole = Number(to.max);
  const shown = [0, whole];
  const plots = () => [...document.querySelectorAll(".plot[data-time]")].filter((plot) => plot.layout?.xaxis);
  const differs = (plot) => plot.layout.xaxis.range.some((end, i) => Math.abs(end - shown[i]) > whole / 1e6);

  function apply() {
    plots().filter(differs).forEach((plot) => Plotly.relayout(plot, { "xaxis.range": [...shown] }));
  }

  function show(begin, end) {
    shown[0] = Math.max(0, Math.min(begin, end));
    shown[1] = Math.min(whole, Math.max(begin, end));
    [from.value, to.value] = shown;
    told.textContent = `${shown[0].toPrecision(4) / 1} to ${shown[1].toPrecision(4) / 1} s`;
    apply();
  }

  // Plotly tells nobody before a chart is drawn, and charts are drawn late: so look after each drag.
  function follow() {
    const changed = plots().find(differs);
    if (changed) show(...changed.layout.xaxis.range);
  }

  panel.addEventListener("input", ({ target }) => {
    const least = whole / 200;
    if (target === from) show(Math.min(from.value, to.value - least), Number(to.value));
    else show(Number(from.value), Math.max(to.value, Number(from.value) + least));
  });
  panel.querySelector("button").addEventListener("click", () => show(0, whole));
  for (const kind of ["change", "click"]) document.addEventListener(kind, () => setTimeout(apply));
  document.addEventListener("mouseup", ({ target }) => {
    if (!target.closest?.("input, button, label")) [100, 500].forEach((wait) => setTimeout(follow, wait));
  });
})();

"use strict";
(() => {
  const root = document.documentElement;
  const themes = JSON.parse(document.getElementById("themes").textContent);
  const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
  const finePointer = window.matchMedia("(pointer: fine)").matches;
  const PAPER_PX = 680; // the text of a page of A4 or letter at usual margins
  const MOST_PX = 640; // of its height for a chart, with room for what is said of it
  const button = document.getElementById("theme");
  const plots = [...document.querySelectorAll(".plot")];

  const themeName = () => root.dataset.theme || (prefersDark.matches ? "dark" : "light");

  // Figures name their colours by role, with the opacity after a slash; only keys that end in "color" may hold one.
  const themed = (text, colours) =>
    JSON.parse(text, (key, value) => {
      if (!/color$/i.test(key) || typeof value !== "string" || !value.startsWith("@")) return value;
      const [role, opacity = ""] = value.slice(1).split("/");
      return colours[role] + opacity;
    });

  const controls = (figure, type) =>
    [...document.querySelectorAll(`input[type=${type}]`)].filter((input) => input.dataset.plot === figure);

  function shown(figure) {
    const choice = controls(figure, "radio").find((input) => input.checked);
    const hidden = new Set(controls(figure, "checkbox").filter((i) => !i.checked).map((i) => i.dataset.series));
    return (trace) => {
      const meta = trace.meta || {};
      return (!choice || !meta.choice || meta.choice === choice.value) && !hidden.has(meta.series);
    };
  }

  function draw(plot, name = themeName(), width = undefined) {
    const figure = plot.id.replace(/^plot-/, "");
    const { data, layout } = themed(document.getElementById(`data-${figure}`).textContent, themes[name]);
    const isShown = shown(figure);
    data.forEach((trace) => { trace.visible = isShown(trace); });
    const end = data.find((trace) => trace.visible && trace.meta?.end)?.meta.end;
    if (end) layout.xaxis.range = [0, end]; // each view of a bar chart has a scale of its own
    if (width) Object.assign(layout, { width, height: Math.min(layout.height, MOST_PX), autosize: false });
    if (!finePointer) layout.dragmode = false; // a finger that drags wants to scroll
    return Plotly.react(plot, data, layout, { displayModeBar: false, responsive: true });
  }

  const drawAll = (name, width) => plots.forEach((plot) => draw(plot, name, width));

  const offered = () => (themeName() === "dark" ? "light" : "dark");
  const label = { light: "Light theme", dark: "Dark theme" };

  function follow() {
    button.textContent = label[offered()];
    drawAll();
  }

  // One figure after the other, so that the page is there, and scrolls, before the last of them is drawn.
  function drawInTurn([plot, ...others]) {
    if (!plot) return;
    draw(plot);
    setTimeout(() => drawInTurn(others));
  }

  function remember(name) {
    try { localStorage.setItem("e80sim-theme", name); } catch { /* a private window keeps nothing */ }
  }

  function save(figure) {
    const plot = document.getElementById(`plot-${figure}`);
    const size = { width: plot.clientWidth, height: plot.clientHeight, scale: 2 };
    Plotly.downloadImage(plot, { format: "png", filename: figure, ...size });
  }

  async function copy(from) {
    const source = document.getElementById(from.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      from.textContent = "Copied";
    } catch { // a browser that lets no page write to the clipboard
      getSelection().selectAllChildren(source);
      from.textContent = "Selected";
    }
  }

  button.textContent = label[offered()];
  requestAnimationFrame(() => setTimeout(() => drawInTurn(plots)));

  button.addEventListener("click", () => {
    root.dataset.theme = offered();
    remember(root.dataset.theme);
    follow();
  });
  prefersDark.addEventListener("change", follow);
  document.addEventListener("change", ({ target }) => {
    if (target.dataset.plot) draw(document.getElementById(`plot-${target.dataset.plot}`));
  });
  document.addEventListener("click", ({ target }) => {
    if (target.dataset.copy) copy(target);
    else if (target.matches("button.save")) save(target.dataset.plot);
  });
  window.addEventListener("beforeprint", () => drawAll("light", PAPER_PX));
  window.addEventListener("afterprint", () => drawAll());
})();

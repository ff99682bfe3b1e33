// What a reader of the page would find cut, one over the other, or too small to read; a sentence each.
(least) => {
  const faults = new Set();
  const { clientWidth: wide, scrollWidth } = document.documentElement;
  if (scrollWidth > wide) faults.add(`the page is ${scrollWidth} px wide in a window of ${wide}`);

  const scrolled = (element) => {
    for (let e = element; e; e = e.parentElement) {
      if (["auto", "scroll"].includes(getComputedStyle(e).overflowX)) return true;
    }
    return false;
  };
  const where = (element) => {
    const owner = element.closest("[id]");
    return `${element.tagName.toLowerCase()} in #${owner ? owner.id : "?"}`;
  };

  const lines = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode, element = node.parentElement, text = node.data.trim();
    if (!text || element.closest("script, style, .visually-hidden, .skip")) continue;
    if (!element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    const shown = `"${text.slice(0, 40)}" (${where(element)})`;
    const matrix = element.getScreenCTM?.();
    const size = parseFloat(getComputedStyle(element).fontSize) * (matrix ? Math.hypot(matrix.a, matrix.b) : 1);
    if (size < least - 0.01) faults.add(`${shown} is ${size.toFixed(1)} px high`);
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      if (box.width < 1 || box.height < 1) continue;
      lines.push({ box, element, shown });
      const frame = element.closest("svg.main-svg")?.getBoundingClientRect();
      const left = Math.max(0, frame?.left ?? 0) - 1, right = Math.min(wide, frame?.right ?? wide) + 1;
      if ((box.left < left || box.right > right) && !scrolled(element)) faults.add(`${shown} is cut`);
    }
  }

  lines.sort((one, other) => one.box.top - other.box.top);
  lines.forEach((one, index) => {
    for (const other of lines.slice(index + 1)) {
      if (other.box.top > one.box.bottom) break;
      if (one.element.contains(other.element) || other.element.contains(one.element)) continue;
      const [a, b] = [one.box, other.box];
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      const smaller = Math.min(a.width * a.height, b.width * b.height);
      if (across > 2 && down > 2 && across * down > 0.15 * smaller) {
        faults.add(`${one.shown} and ${other.shown} lie one over the other`);
      }
    }
  });
  return [...faults];
}

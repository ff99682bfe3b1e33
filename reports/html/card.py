"""A run as one picture for an issue or a chat: the question, the sentence that answers it, the figure."""

from importlib.resources import files

from reports.answer import answer
from reports.digest import DIGEST
from reports.html.first_screen import deciding_figure
from reports.html.markup import tag
from reports.html.small_page import small_page
from reports.run_directory import Run

WIDTH_PX, HEIGHT_PX = 1200, 630
"""What chats and issue trackers show whole."""
STYLE = f"""
html, body {{ width: {WIDTH_PX}px; height: {HEIGHT_PX}px; overflow: hidden; }}
body {{ position: relative; max-width: none; padding: 34px 48px 0; }}
.question {{ font-size: 21px; margin: 0; max-width: none; }}
.sentence {{ font-size: 34px; line-height: 1.22; margin: 6px 0 18px; }}
.sentence.long {{ font-size: 26px; }}
#fit h2 {{ font-size: 17px; margin: 0; }}
.by {{ position: absolute; left: 48px; bottom: 18px; margin: 0; font-size: 15px; color: var(--muted); }}
"""
FIT = """
document.documentElement.classList.add("js");
const fit = document.getElementById("fit");
for (let turn = 0; turn < 4; turn += 1) { // a figure of another size breaks its lines elsewhere
  const zoom = Number(fit.style.zoom || 1), box = fit.getBoundingClientRect();
  const room = document.querySelector(".by").getBoundingClientRect().top - box.top - 12;
  fit.style.zoom = Math.min(1.5, zoom * room / box.height);
}
"""
LONG = 110


def card(run: Run) -> str:
    """A page that is a card, where a window is WIDTH_PX wide and HEIGHT_PX high; the run has its summary."""
    summary = run.summary or {}
    sentence, digest = answer(summary).sentence, run.manifest.get(DIGEST, "")
    style = (files("reports") / "assets" / "answer.css").read_text(encoding="utf-8")
    by = f"e80sim \N{MIDDLE DOT} {summary['scenario']}, seed {summary['seed']}"
    content = tag(
        "main",
        tag("p", summary["question"], class_="question") if summary["question"] else None,
        tag("h1", sentence, class_="sentence long" if len(sentence) > LONG else "sentence"),
        tag("div", deciding_figure(summary), id="fit"),
        tag("p", f"{by} \N{MIDDLE DOT} run {digest[:12]}" if digest else by, class_="by"),
    )
    return small_page(summary["title"], content, style + STYLE, FIT)

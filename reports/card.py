"""Draw the card of a run as a PNG, with the system's Chromium."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from e80sim.mistakes import UserError
from reports.html.card import HEIGHT_PX, WIDTH_PX, card
from reports.run_directory import read, replace_file
from reports.summary import summary_of

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE_S = 60
OPTIONS = (
    "--headless",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
    f"--window-size={WIDTH_PX},{HEIGHT_PX}",
    "--screenshot={picture}",
    "--user-data-dir={profile}",
)


def write_card(directory: Path, picture: Path) -> None:
    """Raises UserError: no run, no browser, or a place that cannot be written."""
    run = read(directory)
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise UserError(
            f"--card {picture} is drawn by Chromium, which is not there: install chromium or google-chrome"
        )
    with TemporaryDirectory(prefix="e80sim-card-") as folder:
        page, drawn = Path(folder) / "card.html", Path(folder) / "card.png"
        page.write_text(card(replace(run, summary=summary_of(run))), encoding="utf-8")
        options = [one.format(picture=drawn, profile=f"{folder}/profile") for one in OPTIONS]
        if os.geteuid() == 0:
            options.append("--no-sandbox")  # Chromium refuses to start otherwise
        _draw([browser, *options, page.as_uri()], browser)
        if not drawn.exists():
            raise UserError(f"{browser} drew no picture for --card {picture}")
        replace_file(picture, drawn.read_bytes())


def _draw(command: list[str], browser: str) -> None:
    try:
        subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=True)  # noqa: S603 -- no shell
    except subprocess.TimeoutExpired:
        raise UserError(f"{browser} took more than {PATIENCE_S} s to draw one page: try again") from None
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError(f"{browser} could not draw the card: {error}") from None

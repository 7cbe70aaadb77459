"""The same pages as PDF: the report printed by a headless Chromium with its print style sheet."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from trocar_lab.evidence.errors import PrintError

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
_SECONDS_MAX: Final = 600


def find_browser() -> str | None:
    """Return the path of the first browser that is installed, or None."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def print_pdf(page: Path, target: Path) -> Path:
    """Print a page and return the path of the PDF.

    Args:
        page: The HTML file.
        target: The PDF file to write.

    Raises:
        PrintError: No browser is installed, or it wrote no PDF.
    """
    browser = find_browser()
    if browser is None:
        names = ", ".join(BROWSERS)
        raise PrintError(f"no PDF: install Chromium (looked for {names} on the path)")
    target.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        words = [
            browser,
            "--headless",
            "--no-sandbox",  # the page is our own file, and a policy in it forbids every address
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--user-data-dir={profile}",
            "--no-pdf-header-footer",
            f"--print-to-pdf={target.resolve()}",
            page.resolve().as_uri(),
        ]
        try:
            done = subprocess.run(
                words, capture_output=True, text=True, check=False, timeout=_SECONDS_MAX
            )
        except (OSError, subprocess.SubprocessError) as exc:
            raise PrintError(f"no PDF: {browser} gave {exc}") from exc
    if not target.is_file() or not target.read_bytes().startswith(b"%PDF-"):
        last = done.stderr.strip().rsplit("\n", 1)[-1]
        raise PrintError(f"no PDF: {browser} ended with {done.returncode}: {last}")
    return target

"""The PDF is printed by the browser that is there; without one, or when it fails, that is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from trocar_lab.evidence.errors import PrintError
from trocar_lab.evidence.report.print_pdf import BROWSERS, find_browser, print_pdf

_GOOD = """#!/bin/sh
for word in "$@"; do
  case "$word" in --print-to-pdf=*) printf '%%PDF-1.7 %s' "$*" > "${word#*=}";; esac
done
"""
_BAD = "#!/bin/sh\necho first >&2\necho 'no such display' >&2\nexit 3\n"
_TEXT = """#!/bin/sh
for word in "$@"; do
  case "$word" in --print-to-pdf=*) echo '<html>' > "${word#*=}";; esac
done
"""


def _browser(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, name: str) -> Path:
    """Put a program with the name of a browser on the path."""
    path = folder / "bin" / name
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(path.parent))
    return path


@pytest.mark.parametrize("name", BROWSERS)
def test_page_is_printed_without_head_and_foot_of_the_browser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The browser's own head would print a path of this machine on each page."""
    browser = _browser(tmp_path, monkeypatch, _GOOD, name)
    page = tmp_path / "trace.html"
    page.write_text("<p>", encoding="utf-8")
    target = print_pdf(page, tmp_path / "trace.pdf")
    assert find_browser() == str(browser)
    words = target.read_text(encoding="utf-8")
    assert "--no-pdf-header-footer" in words
    assert page.resolve().as_uri() in words


@pytest.mark.verifies("SRS_TRACE_017", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("text", "words"), [(_BAD, "ended with 3: no such display"), (_TEXT, "ended with 0")]
)
def test_browser_that_prints_nothing_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    """An old PDF must not pass for the new one."""
    _browser(tmp_path, monkeypatch, text, "chromium")
    target = tmp_path / "trace.pdf"
    target.write_bytes(b"%PDF-old")
    with pytest.raises(PrintError, match=words):
        print_pdf(tmp_path / "trace.html", target)
    assert not (target.is_file() and target.read_bytes().startswith(b"%PDF-"))


def test_no_browser_is_an_error_that_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to guess which program is missing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_browser() is None
    with pytest.raises(PrintError, match="install Chromium"):
        print_pdf(tmp_path / "trace.html", tmp_path / "trace.pdf")

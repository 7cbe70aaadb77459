"""Only the data that verification has registered are trained on or measured."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from trocar_lab.datasets import registered
from trocar_lab.datasets.registered import UnregisteredDataError, require_registered

DIGEST: Final = "ab" * 32
ENTRY: Final = f'[[dataset]]\nid = "DATA_X"\nsha256 = "{DIGEST}"\n'


def _register(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put another register in the place of the checkout's."""
    path = folder / "datasets.toml"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(registered, "REGISTER", path)


def test_registered_data_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal digests are silent, whatever other data sets are registered."""
    _register(tmp_path, ENTRY.replace("_X", "_Y") + ENTRY, monkeypatch)
    require_registered("DATA_X", found=DIGEST)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ENTRY.replace("ab", "ac"), "ac" * 32),
        (ENTRY.replace("_X", "_Y"), None),
        (ENTRY + ENTRY, None),
        ("dataset = []\n", None),
    ],
    ids=["other digest", "other set", "two entries", "empty register"],
)
def test_other_data_are_refused_with_both_digests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: str | None
) -> None:
    """A figure on other data would stand beside a name that is not theirs."""
    _register(tmp_path, text, monkeypatch)
    with pytest.raises(UnregisteredDataError, match="DATA_X") as caught:
        require_registered("DATA_X", found=DIGEST)
    error = caught.value
    assert (error.dataset_id, error.expected, error.found) == ("DATA_X", expected, DIGEST)
    assert DIGEST in str(error)
    assert (expected or "of one entry") in str(error)


def test_register_of_this_checkout_is_the_one_of_verification() -> None:
    """A path that points elsewhere would compare with nothing."""
    root = Path(__file__).resolve().parents[4]
    assert registered.REGISTER.relative_to(root).as_posix() == "verification/datasets.toml"
    assert registered.registered_digest("DATA_KVASIR_SEG") is not None
    assert registered.registered_digest("DATA_RENDERED_COLONOSCOPY") is not None

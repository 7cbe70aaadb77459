"""The real data is found through one variable, and its absence is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from trocar_lab.datasets import data_root


def test_variable_names_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable wins over the default."""
    monkeypatch.setenv(data_root.VARIABLE, str(tmp_path))
    assert data_root.require_data_root() == tmp_path


def test_missing_root_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is guessed."""
    monkeypatch.setenv(data_root.VARIABLE, str(tmp_path / "none"))
    assert data_root.find_data_root() is None
    with pytest.raises(data_root.DataRootMissingError, match=data_root.VARIABLE):
        data_root.require_data_root()


def test_default_is_used_without_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkout with the data beside it needs no setting."""
    monkeypatch.delenv(data_root.VARIABLE, raising=False)
    monkeypatch.setattr(data_root, "DEFAULT", tmp_path)
    assert data_root.find_data_root() == tmp_path

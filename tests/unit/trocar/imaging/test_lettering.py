"""Words are drawn in letters that can be read, or not at all."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import ImageFont

from trocar.contracts.errors import SinkError
from trocar.imaging import lettering


@pytest.mark.verifies("SRS_NOTICE_001", extent="partial", technique="fault_injection")
def test_build_without_scalable_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The notice could not be read."""
    lettering.font_of.cache_clear()
    small = ImageFont.ImageFont()
    monkeypatch.setattr(ImageFont, "load_default", lambda _: small)
    with pytest.raises(SinkError, match="FreeType"):
        lettering.font_of(13)
    lettering.font_of.cache_clear()


@pytest.mark.verifies("SRS_SINK_005", extent="partial", technique="boundary")
def test_words_are_made_smaller_until_they_fit() -> None:
    """A narrow frame still shows the whole reason, down to letters that can just be read."""
    wide = lettering.label_of("NO RESULT: frame black", font_px=40, width_px_max=4000)
    narrow = lettering.label_of("NO RESULT: frame black", font_px=40, width_px_max=300)
    cut = lettering.label_of("NO RESULT: frame black", font_px=40, width_px_max=60)
    assert wide.shape[0] == 80
    assert narrow.shape[1] <= 300 < wide.shape[1]
    assert (cut.shape[0], cut.shape[1]) == (2 * lettering.SMALLEST_FONT_PX, 60)


@pytest.mark.verifies("SRS_SINK_005", extent="partial", technique="requirement")
def test_words_have_the_colour_asked_for() -> None:
    """What needs attention is orange; a track that is only assumed is not."""
    soft = lettering.label_of("unseen", font_px=30, width_px_max=400, colour=lettering.SOFT)
    assert (soft == lettering.SOFT).all(axis=2).any()
    assert not (soft == lettering.ORANGE).all(axis=2).any()
    assert np.array_equal(soft[0, 0], lettering.INK)

"""The reference case: agreement is measured as it is said, and what is no number never passes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators.backend import MemoryBackend
from simulators.packs import tiny_reference, write_detector_pack, write_tiny_pack
from trocar.backends.reference_case import (
    ReferenceCaseReport,
    replay_reference_case,
    require_parity,
)
from trocar.contracts.errors import (
    BackendUnavailableError,
    IncompatiblePackError,
    InferenceError,
)
from trocar.packs.verify import VerifiedPack


@pytest.fixture
def pack(tmp_path: Path) -> VerifiedPack:
    """Return the tiny pack."""
    return write_tiny_pack(tmp_path / "pack")


def _npy(array: NDArray[np.float32] | NDArray[np.uint8]) -> bytes:
    """Return an array as the bytes of an npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _replay(
    pack: VerifiedPack, got: NDArray[np.float32], expected: NDArray[np.float32] | None = None
) -> ReferenceCaseReport:
    """Replay with an engine that gives ``got``, against ``expected`` or the pack's own output."""
    stored = pack.content[pack.manifest.reference_output]
    return replay_reference_case(
        MemoryBackend(got),
        pack.manifest,
        reference_input=pack.content[pack.manifest.reference_input],
        reference_output=stored if expected is None else _npy(expected),
    )


@pytest.mark.verifies(
    "SRS_BACKEND_005", "UNIT_BACKENDS_REFERENCE_CASE", extent="partial", technique="example"
)
def test_difference_and_dice_are_those_of_the_definition(pack: VerifiedPack) -> None:
    """Dice is twice the common pixels over the sum of both masks."""
    expected = np.zeros((1, 1, 64, 64), np.float32)
    expected[..., :10, :10] = 0.9
    got = np.zeros_like(expected)
    got[..., :10, :5] = 0.8
    report = _replay(pack, got, expected)
    assert report.prob_difference_max == pytest.approx(0.9)
    assert report.mask_dice == pytest.approx(2 * 50 / (100 + 50))
    assert report.mask_pixel_count == 100


@pytest.mark.verifies("SRS_BACKEND_005", extent="partial", technique="boundary")
def test_two_empty_masks_agree_and_say_that_they_are_empty(pack: VerifiedPack) -> None:
    """Zero over zero; the count tells a reader how little that proves."""
    nothing = np.zeros((1, 1, 64, 64), np.float32)
    report = _replay(pack, nothing, nothing)
    assert report.mask_dice == 1.0
    assert report.mask_pixel_count == 0


@pytest.mark.verifies("SRS_BACKEND_005", extent="full", technique="boundary")
@pytest.mark.controls("RCM_PARITY_001")
@pytest.mark.parametrize(
    ("difference", "dice", "is_within"),
    [
        (0.02, 0.98, True),
        (float(np.nextafter(0.02, 1)), 0.98, False),
        (0.02, float(np.nextafter(0.98, 0)), False),
        (0.0, 1.0, True),
        (1e9, 1.0, False),
    ],
)
def test_limits_are_inclusive(difference: float, dice: float, *, is_within: bool) -> None:
    """At the limit yes, the next number beyond no; each measure counts by itself."""
    report = ReferenceCaseReport(
        prob_difference_max=difference,
        prob_difference_limit=0.02,
        mask_dice=dice,
        mask_dice_limit=0.98,
        mask_pixel_count=1,
    )
    assert report.is_within_limits is is_within
    backend = MemoryBackend(np.zeros((1, 1, 64, 64), np.float32))
    if is_within:
        require_parity(report, backend)
    else:
        with pytest.raises(BackendUnavailableError, match="differs from the reference case"):
            require_parity(report, backend)


@pytest.mark.verifies("SRS_BACKEND_005", extent="full", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_SELFTEST_001",
    measure="outputs or references with a value that is no number that pass",
    acceptance="0 of NaN and both infinities, in either of the two",
)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", ["output", "reference"])
def test_value_that_is_no_number_never_passes(pack: VerifiedPack, value: float, side: str) -> None:
    """NaN is not larger than any limit: a plain comparison would let it through."""
    good = tiny_reference()[1]
    broken = good.copy()
    broken[0, 0, 40, 40] = value
    report = _replay(
        pack, broken if side == "output" else good, None if side == "output" else broken
    )
    assert report.prob_difference_max == 1e9
    assert not report.is_within_limits


@pytest.mark.verifies("SRS_PACK_004", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_infinite_difference_on_both_sides_does_not_cancel(
    pack: VerifiedPack, value: float
) -> None:
    """Infinity minus infinity is NaN: the same fault in engine and reference is still a fault."""
    broken = tiny_reference()[1].copy()
    broken[0, 0, 0, 0] = value
    assert not _replay(pack, broken, broken).is_within_limits


@pytest.mark.verifies("SRS_SECURITY_001", extent="partial", technique="fault_injection")
def test_pickled_reference_is_refused(pack: VerifiedPack) -> None:
    """An npy file of objects runs code when it is unpickled."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(IncompatiblePackError, match="plain npy"):
        replay_reference_case(
            MemoryBackend(tiny_reference()[1]),
            pack.manifest,
            reference_input=buffer.getvalue(),
            reference_output=pack.content[pack.manifest.reference_output],
        )


@pytest.mark.verifies("SRS_PACK_004", extent="partial", technique="fault_injection")
def test_engine_that_fails_on_the_case_has_not_passed(pack: VerifiedPack) -> None:
    """The error goes up; there is no report to be taken for a good one."""
    fault = InferenceError("out of memory", advice="restart")
    backend = MemoryBackend(tiny_reference()[1], faults={0: fault})
    with pytest.raises(InferenceError, match="out of memory"):
        replay_reference_case(
            backend,
            pack.manifest,
            reference_input=pack.content[pack.manifest.reference_input],
            reference_output=pack.content[pack.manifest.reference_output],
        )


@pytest.mark.verifies("SRS_BACKEND_005", extent="partial", technique="boundary")
@pytest.mark.controls("RCM_SELFTEST_001")
def test_masks_that_overlap_in_part_are_compared_at_the_threshold_itself(
    pack: VerifiedPack,
) -> None:
    """A pixel at the threshold belongs to the mask, in the reference as in the output."""
    threshold = np.float32(pack.manifest.threshold.value)
    expected = np.zeros((1, 1, 64, 64), np.float32)
    expected[..., :10, :10] = threshold
    got = np.zeros_like(expected)
    got[..., 5:20, :10] = threshold
    report = _replay(pack, got, expected)
    assert report.mask_pixel_count == 100
    assert report.mask_dice == pytest.approx(2 * 50 / (100 + 150))


@pytest.mark.verifies("SRS_PACK_004", "SRS_ERROR_001", extent="partial", technique="equivalence")
@pytest.mark.controls("RCM_SELFTEST_001")
@pytest.mark.parametrize(
    "array",
    [
        np.zeros((1, 64, 64, 4), np.uint8),
        np.zeros((1, 64, 64, 3), np.int8),
        np.zeros((1, 64, 64, 3), np.float32),
    ],
    ids=["shape", "sign", "dtype"],
)
def test_case_of_another_shape_or_type_is_refused(
    pack: VerifiedPack, array: NDArray[np.uint8]
) -> None:
    """One of the two differences is enough: the engine would be compared on another tensor."""
    with pytest.raises(IncompatiblePackError) as caught:
        replay_reference_case(
            MemoryBackend(tiny_reference()[1]),
            pack.manifest,
            reference_input=_npy(array),
            reference_output=pack.content[pack.manifest.reference_output],
        )
    assert caught.value.diagnostics() == (
        "error PACK_INCOMPATIBLE: the reference case of frame is not uint8 (1, 64, 64, 3)\n"
        "  what to do: use another pack"
    )


@pytest.mark.verifies(
    "SRS_PACK_004", "SRS_ERROR_001", extent="partial", technique="fault_injection"
)
@pytest.mark.parametrize("kind", ["archive", "text"])
def test_case_that_is_no_array_is_refused(pack: VerifiedPack, kind: str) -> None:
    """An archive of arrays is read by the same function, and is none."""
    buffer = io.BytesIO(b"no array")
    if kind == "archive":
        np.savez(buffer, a=np.zeros((1, 64, 64, 3), np.uint8))
    with pytest.raises(IncompatiblePackError, match="the reference case of frame is not") as caught:
        replay_reference_case(
            MemoryBackend(tiny_reference()[1]),
            pack.manifest,
            reference_input=buffer.getvalue(),
            reference_output=pack.content[pack.manifest.reference_output],
        )
    assert caught.value.advice == "use another pack"


@pytest.mark.verifies("SRS_BACKEND_005", "SRS_ERROR_001", extent="partial", technique="example")
@pytest.mark.controls("RCM_PARITY_001")
def test_refusal_names_engine_and_both_measures_with_their_limits() -> None:
    """Whether the engine is a little off or quite wrong decides what to do next."""
    report = ReferenceCaseReport(
        prob_difference_max=0.12345,
        prob_difference_limit=0.02,
        mask_dice=0.5,
        mask_dice_limit=0.98,
        mask_pixel_count=1,
    )
    backend = MemoryBackend(np.zeros((1, 1, 64, 64), np.float32))
    with pytest.raises(BackendUnavailableError) as caught:
        require_parity(report, backend)
    assert caught.value.diagnostics() == (
        f"error BACKEND_UNAVAILABLE: {backend.info.engine} in {backend.info.precision} differs"
        " from the reference case: probability by 0.123 (limit 0.02), mask Dice 0.5000 (limit 0.98)"
        "\n  what to do: use another engine or precision; do not use this one"
    )


@pytest.fixture
def detector(tmp_path: Path) -> VerifiedPack:
    """Return the detecting pack: two scores and four edges a cell, 8 x 12 cells."""
    return write_detector_pack(tmp_path / "detector")


def _detector_output(pack: VerifiedPack) -> NDArray[np.float32]:
    """Return the expected output of the detecting pack: a new array."""
    stored = pack.content[pack.manifest.reference_output]
    output: NDArray[np.float32] = np.load(io.BytesIO(stored))
    return output


@pytest.mark.verifies("SRS_TOOL_010", extent="full", technique="example")
@pytest.mark.controls("RCM_PARITY_001")
def test_same_maps_of_a_detector_agree_and_tell_how_many_cells_said_so(
    detector: VerifiedPack,
) -> None:
    """Two cells of the reference picture reach the operating point."""
    report = _replay(detector, _detector_output(detector))
    assert report.prob_difference_max == 0.0
    assert (report.mask_dice, report.mask_pixel_count) == (1.0, 2)


@pytest.mark.verifies("SRS_TOOL_010", extent="partial", technique="example")
def test_scores_of_a_detector_are_compared_in_every_cell(detector: VerifiedPack) -> None:
    """Also in a cell where nothing is marked: a weak score that grows is a box tomorrow."""
    got = _detector_output(detector)
    got[0, 1, 7, 11] = 0.25
    report = _replay(detector, got)
    assert report.prob_difference_max == pytest.approx(0.25)
    assert report.mask_dice == 1.0


@pytest.mark.verifies("SRS_TOOL_010", extent="partial", technique="equivalence")
def test_edges_are_compared_where_both_sides_mark_a_box(detector: VerifiedPack) -> None:
    """In empty cells edges mean nothing, and engines differ most where nothing is learned."""
    elsewhere = _detector_output(detector)
    elsewhere[0, 2:, 7, 11] = 1.0
    assert _replay(detector, elsewhere).is_within_limits
    moved = _detector_output(detector)
    moved[0, 2:, 2, 3] += (0.1, 0.0, -0.05, 0.0)
    report = _replay(detector, moved)
    assert report.mask_dice == pytest.approx(0.5)
    assert report.prob_difference_max == 0.0
    assert not report.is_within_limits


@pytest.mark.verifies("SRS_TOOL_010", extent="full", technique="boundary")
@pytest.mark.parametrize(("share", "is_same"), [(0.91, True), (0.89, False), (1 / 0.89, False)])
@pytest.mark.parametrize(("edge", "opposite"), [(0, 2), (1, 3), (2, 0), (3, 1)])
@pytest.mark.parametrize("cell", [(2, 3), (5, 9)], ids=["grasper", "hook"])
def test_boxes_of_two_engines_are_one_from_nine_tenths_on(
    detector: VerifiedPack,
    cell: tuple[int, int],
    edge: int,
    opposite: int,
    share: float,
    *,
    is_same: bool,
) -> None:
    """One edge moves, so that the side shrinks or grows by a share: the overlap is that share."""
    got = _detector_output(detector)
    edges = got[0, 2:, cell[0], cell[1]]
    edges[edge] = share * (edges[edge] + edges[opposite]) - edges[opposite]
    assert _replay(detector, got).mask_dice == (1.0 if is_same else 0.5)


@pytest.mark.verifies("SRS_TOOL_010", extent="partial", technique="equivalence")
def test_cell_of_another_class_is_not_common(detector: VerifiedPack) -> None:
    """A grasper that becomes a hook is another answer, at whatever place."""
    got = _detector_output(detector)
    got[0, [0, 1], 2, 3] = got[0, [1, 0], 2, 3]
    assert _replay(detector, got).mask_dice == pytest.approx(0.5)


@pytest.mark.verifies("SRS_TOOL_010", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("channel", [0, 3])
def test_value_that_is_no_number_fails_a_detector_anywhere(
    detector: VerifiedPack, value: float, channel: int
) -> None:
    """Also in an edge of an empty cell, which is compared for nothing else."""
    got = _detector_output(detector)
    got[0, channel, 0, 0] = value
    report = _replay(detector, got)
    assert report.prob_difference_max == 1e9
    assert not report.is_within_limits

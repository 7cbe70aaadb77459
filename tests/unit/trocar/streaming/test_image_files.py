"""Stills are converted by fixed rules, and a bad file costs itself and no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simulators.clock import FakeClock
from simulators.source import noise_pixels
from trocar.contracts.errors import ContractError, DecodeError, InvariantError
from trocar.streaming.image_files import ImageFilesSource, list_images, read_image, source_id_of
from trocar.streaming.pacing import UndecodableFrame


def _never() -> bool:
    return False


def _save(path: Path, picture: Image.Image, **options: object) -> Path:
    picture.save(path, **options)  # type: ignore[arg-type]
    return path


def _grey(level: int = 90) -> Image.Image:
    return Image.fromarray(np.full((40, 50), level, dtype=np.uint8))


@pytest.mark.verifies("SRS_SOURCE_003", extent="full", technique="requirement")
def test_pictures_are_listed_in_natural_order(tmp_path: Path) -> None:
    """Frame 2 comes before frame 10, and what is no picture is left out."""
    names = ["f10.png", "f2.PNG", "f1.jpg", ".hidden.png", "notes.txt"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [p.name for p in list_images(tmp_path)] == ["f1.jpg", "f2.PNG", "f10.png"]


@pytest.mark.verifies("SRS_SOURCE_003", extent="partial", technique="requirement")
def test_folder_of_pictures_only_is_listed_whole(tmp_path: Path) -> None:
    """Nothing is left out, so nothing is said."""
    (tmp_path / "a.png").touch()
    assert len(list_images(tmp_path)) == 1


@pytest.mark.verifies("SRS_SOURCE_002", extent="partial", technique="fault_injection")
def test_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    """A run on nothing must not end as a success."""
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ContractError, match="got none of 1 entries"):
        list_images(tmp_path)
    with pytest.raises(ContractError, match="which is none"):
        list_images(tmp_path / "notes.txt")


@pytest.mark.verifies("SRS_SOURCE_003", extent="full", technique="equivalence")
@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "RGB", "CMYK"])
def test_every_mode_becomes_8_bit_rgb(tmp_path: Path, mode: str) -> None:
    """The unit has one input format; grey stays grey."""
    suffix = "tif" if mode == "CMYK" else "png"
    path = _save(tmp_path / f"a.{suffix}", _grey(255).convert(mode))
    pixels = read_image(path)
    assert pixels.shape == (40, 50, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.min() == 255


@pytest.mark.verifies("SRS_SOURCE_003", extent="full", technique="boundary")
def test_transparent_pixels_are_black(tmp_path: Path) -> None:
    """A transparent surround is what a black surround is to the model."""
    rgba = np.full((40, 50, 4), 200, dtype=np.uint8)
    rgba[:20, :, 3] = 0
    rgba[20:, :, 3] = 255
    pixels = read_image(_save(tmp_path / "a.png", Image.fromarray(rgba)))
    assert (pixels[:20].max(), pixels[20:].min()) == (0, 200)


@pytest.mark.verifies("SRS_SOURCE_003", extent="full", technique="boundary")
def test_16_bit_grey_is_scaled_by_the_full_range(tmp_path: Path) -> None:
    """The scale does not depend on the content, so that two frames can be compared."""
    levels = np.zeros((40, 50), dtype=np.uint16)
    levels[:, 25:] = 65535
    pixels = read_image(_save(tmp_path / "a.png", Image.fromarray(levels)))
    assert (pixels[:, :25].max(), pixels[:, 25:].min()) == (0, 255)


@pytest.mark.verifies("SRS_SOURCE_003", extent="partial", technique="boundary")
@pytest.mark.parametrize("level", [-1, 65536])
def test_32_bit_levels_outside_16_bits_are_refused(tmp_path: Path, level: int) -> None:
    """Such levels have no known white."""
    levels = np.full((40, 50), level, dtype=np.int32)
    with pytest.raises(DecodeError, match=f"got {level} to {level}"):
        read_image(_save(tmp_path / "a.tif", Image.fromarray(levels)))


@pytest.mark.verifies("SRS_SOURCE_003", extent="partial", technique="boundary")
def test_floating_point_is_refused(tmp_path: Path) -> None:
    """The same holds for numbers without a range."""
    levels = np.ones((40, 50), dtype=np.float32)
    with pytest.raises(DecodeError, match="floating point"):
        read_image(_save(tmp_path / "a.tif", Image.fromarray(levels)))


@pytest.mark.verifies("SRS_SOURCE_003", extent="full", technique="requirement")
@pytest.mark.controls("RCM_GEOMETRY_001")
def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    """A picture that a viewer shows upright is upright for the unit."""
    picture = np.full((40, 60, 3), 20, dtype=np.uint8)
    picture[:10, :15] = 240
    exif = Image.Exif()
    exif[0x0112] = 6
    path = _save(tmp_path / "a.jpg", Image.fromarray(picture), exif=exif, quality=95)
    pixels = read_image(path)
    assert pixels.shape == (60, 40, 3)
    assert pixels[2:8, 32:38].min() > 200
    assert pixels[30:].max() < 60


@pytest.mark.verifies("SRS_SOURCE_003", extent="partial", technique="boundary")
def test_several_pictures_in_one_file_are_refused(tmp_path: Path) -> None:
    """The pictures after the first would be lost silently."""
    path = _save(tmp_path / "a.tif", _grey(), save_all=True, append_images=[_grey(), _grey()])
    with pytest.raises(DecodeError, match="got 3"):
        read_image(path)


@pytest.mark.verifies("SRS_SOURCE_003", extent="partial", technique="boundary")
def test_previews_behind_a_jpeg_do_not_count(tmp_path: Path) -> None:
    """Many cameras add a preview to each picture; the first one is the picture."""
    path = _save(tmp_path / "a.jpg", _grey(), format="MPO", save_all=True, append_images=[_grey(7)])
    assert abs(int(read_image(path).max()) - 90) <= 2


@pytest.mark.verifies("SRS_SOURCE_002", extent="full", technique="boundary")
def test_header_above_the_limits_is_refused(tmp_path: Path) -> None:
    """A file of a few bytes may claim gigabytes."""
    path = _save(tmp_path / "wide.png", Image.new("L", (8193, 2)))
    with pytest.raises(DecodeError, match="8193x2"):
        read_image(path)
    bomb = _save(tmp_path / "bomb.png", Image.new("1", (14000, 14000)))
    with pytest.raises(DecodeError, match="DecompressionBomb"):
        read_image(bomb)


@pytest.mark.verifies("SRS_SOURCE_002", extent="full", technique="fault_injection")
@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.9])
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "webp"])
def test_cut_file_is_a_typed_error(tmp_path: Path, suffix: str, share: float) -> None:
    """Half a picture is never answered as if it were a whole one."""
    path = _save(tmp_path / f"a.{suffix}", Image.fromarray(noise_pixels(1)))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DecodeError, match=f"a.{suffix}"):
        read_image(path)


@pytest.mark.verifies("SRS_SOURCE_003", extent="full", technique="requirement")
def test_each_frame_is_named_by_its_file(tmp_path: Path) -> None:
    """The name of the mask file comes from here."""
    paths = [_save(tmp_path / name, _grey()) for name in ("a.png", "b.png")]
    source = ImageFilesSource(paths, clock=FakeClock(7))
    frames = list(source.frames(_never))
    assert [(f.source_id, f.frame_index, f.captured_at_ns) for f in frames] == [
        ("a.png", 0, 7),
        ("b.png", 1, 7),
    ]
    assert (source.frame_count, source.source_ids) == (2, ("a.png", "b.png"))
    assert source.source_id == tmp_path.name


@pytest.mark.verifies("SRS_SOURCE_002", extent="full", technique="fault_injection")
def test_bad_file_costs_itself_only(tmp_path: Path) -> None:
    """One broken picture of a thousand is reported and the others are answered."""
    good = _save(tmp_path / "a.png", _grey())
    bad = tmp_path / "b.png"
    bad.write_bytes(good.read_bytes()[:40])
    source = ImageFilesSource([good, bad, good], clock=FakeClock())
    frames = list(source.frames(_never))
    assert [isinstance(f, UndecodableFrame) for f in frames] == [False, True, False]
    assert isinstance(frames[1], UndecodableFrame)
    assert "b.png cannot be read" in frames[1].problem
    assert source.decode_error_count == 1


@pytest.mark.verifies("SRS_STREAM_007", extent="partial", technique="requirement")
def test_stop_and_close_end_the_source(tmp_path: Path) -> None:
    """No file is read after the run was ended."""
    path = _save(tmp_path / "a.png", _grey())
    assert list(ImageFilesSource([path], clock=FakeClock()).frames(lambda: True)) == []
    source = ImageFilesSource([path], clock=FakeClock())
    source.close()
    source.close()
    assert list(source.frames(_never)) == []
    with pytest.raises(InvariantError):
        list(source.frames(_never))


@pytest.mark.verifies("SRS_SOURCE_003", extent="partial", technique="boundary")
def test_name_that_is_no_text_is_escaped() -> None:
    """A file system may hold names that no record can; the run goes on."""
    assert source_id_of(Path("a\udcff.png")) == "a\\udcff.png"
    assert len(source_id_of(Path("x" * 600))) == 512


@pytest.mark.verifies("SRS_LIMITS_001", extent="partial", technique="boundary")
def test_source_without_a_file_is_refused() -> None:
    """A source of nothing is a mistake of ours."""
    with pytest.raises(InvariantError):
        ImageFilesSource([], clock=FakeClock())


@pytest.mark.verifies("SRS_SOURCE_003", extent="partial", technique="equivalence")
@pytest.mark.parametrize("suffix", ["bmp", "jpg", "png", "ppm", "tif", "webp"])
def test_sound_file_of_every_format_is_read(tmp_path: Path, suffix: str) -> None:
    """The list of damages is wide: a mistake of ours must not pass for a damaged file."""
    picture = np.full((40, 50, 3), 90, dtype=np.uint8)
    pixels = read_image(_save(tmp_path / f"a.{suffix}", Image.fromarray(picture)))
    assert np.abs(pixels.astype(int) - 90).max() <= 2


@pytest.mark.verifies("SRS_SOURCE_002", extent="full", technique="property")
@pytest.mark.parametrize("suffix", ["bmp", "jpg", "png", "ppm", "tif", "webp"])
def test_damaged_bytes_give_a_picture_or_a_typed_error(tmp_path: Path, suffix: str) -> None:
    """Whatever a disk does to a picture, the run goes on with the next one."""
    path = _save(tmp_path / f"a.{suffix}", Image.fromarray(noise_pixels(1)))
    sound = path.read_bytes()
    generator = np.random.default_rng(11)
    error_count = 0
    for _ in range(150):
        data = bytearray(sound)
        for place in generator.integers(0, min(300, len(data)), 4):
            data[place] = generator.integers(0, 256)
        path.write_bytes(data)
        try:
            assert read_image(path).ndim == 3
        except DecodeError:
            error_count += 1
    assert error_count > 0

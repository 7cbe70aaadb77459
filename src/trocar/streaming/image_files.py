"""Still pictures as a source of frames: one file, one frame, one line in the record."""

from __future__ import annotations

import re
import struct
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray
from PIL import Image, ImageOps

from trocar.contracts.errors import ContractError, DecodeError, require
from trocar.contracts.frame import RawFrame
from trocar.contracts.limits import SOURCE_ID_LENGTH_MAX
from trocar.contracts.ports import Clock, StopSignal
from trocar.streaming.pacing import undecodable
from trocar.streaming.pixels import on_black, rgb_from_grey, size_problem

__all__ = ["ImageFilesSource", "is_image_name", "list_images", "read_image", "source_id_of"]

_SUFFIXES: Final = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_FORMATS: Final = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_ADVICE: Final = "open the file in a picture viewer; save it again as 8-bit RGB PNG or JPEG"
_WHITE_16_BIT: Final = 65535

_DAMAGE: Final = (
    Image.DecompressionBombError,
    Warning,
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    OverflowError,
    LookupError,
    TypeError,
    struct.error,
)
"""What counts as a damaged file.

OSError, ValueError, TypeError and the decompression bombs were seen with Pillow 13 on 8,400 files
with random cuts and bytes. The others were not seen: they are a precaution, so that one file cannot
end the run of a whole folder. The list is wide enough to hide a mistake of ours as a damaged file,
which is why a test reads a sound file of every mode and format.
"""


def list_images(folder: Path) -> tuple[Path, ...]:
    """Return the picture files of a folder in natural order: ``frame2`` before ``frame10``.

    Files of other kinds, hidden files and sub-folders are left out, and their number is logged.

    Raises:
        ContractError: Not a folder, or no picture in it.
    """
    if not folder.is_dir():
        raise ContractError(
            f"expected a folder, got {folder}, which is none", advice="check the path"
        )
    entries = list(folder.iterdir())
    images = [p for p in entries if is_image_name(p.name) and p.is_file()]
    if not images:
        raise ContractError(
            f"expected pictures ({', '.join(sorted(_SUFFIXES))}) in {folder}, got none of"
            f" {len(entries)} entries",
            advice="check the folder, or convert the pictures to PNG",
        )
    if len(images) < len(entries):
        structlog.get_logger().info("entries_left_out", count=len(entries) - len(images))
    return tuple(sorted(images, key=_natural_key))


def source_id_of(path: Path) -> str:
    """Return the name of a file as it stands in records; bytes that are not text are escaped."""
    return path.name.encode("utf-8", "backslashreplace").decode()[-SOURCE_ID_LENGTH_MAX:]


# @need-ids: SRS_SOURCE_003
def read_image(path: Path) -> NDArray[np.uint8]:
    """Read one picture, upright, as 8-bit RGB.

    Rules: the EXIF orientation is applied; grey is repeated; palettes, CMYK and YCbCr are
    converted; alpha is laid over black; 16-bit grey is scaled by the full range (65535 is white).
    Floating point has no known range and several pictures in one file have no known order: both are
    refused.

    Returns:
        (H, W, 3) uint8 RGB, C-contiguous, newly allocated.

    Raises:
        DecodeError: The file is missing, damaged, cut off, too large, or of a refused kind.
    """
    try:
        with warnings.catch_warnings():
            # What Pillow only warns of, such as a skipped tag, is damage here: nothing is guessed.
            warnings.simplefilter("error")
            with Image.open(path, formats=_FORMATS) as image:
                problem = _header_problem(image)
                if problem is None:
                    image.load()
                    upright = ImageOps.exif_transpose(image)
                    return _rgb(upright)
    except DecodeError:
        raise
    except _DAMAGE as exc:
        problem = f"expected a sound picture, got: {type(exc).__name__}: {exc}"
    raise DecodeError(f"{source_id_of(path)} cannot be read: {problem}", advice=_ADVICE)


class ImageFilesSource:
    """``ports.FrameSource`` on still pictures; each frame is named by its file.

    A file that cannot be read is delivered as ``UndecodableFrame`` and the next one follows.

    Args:
        paths: The files, in the order of the frames.
        clock: Time of the device.
    """

    def __init__(self, paths: Sequence[Path], *, clock: Clock) -> None:
        require(len(paths) > 0, "source without a file asked for")
        self._paths = tuple(paths)
        self._clock = clock
        self._is_started = False
        self._is_closed = False
        self._decode_error_count = 0

    @property
    def source_id(self) -> str:
        """Name of the folder of the first file."""
        return source_id_of(self._paths[0].parent) or "."

    @property
    def source_ids(self) -> tuple[str, ...]:
        """Names of all frames, in order."""
        return tuple(source_id_of(path) for path in self._paths)

    @property
    def frame_count(self) -> int | None:
        """Number of files."""
        return len(self._paths)

    @property
    def decode_error_count(self) -> int:
        """Files that could not be read so far."""
        return self._decode_error_count

    def frames(self, stop: StopSignal) -> Iterator[RawFrame]:
        """Yield one frame a file; may be called once."""
        require(not self._is_started, "frames asked for twice")
        self._is_started = True
        for frame_index, path in enumerate(self._paths):
            if self._is_closed or stop():
                return
            captured_at_ns = self._clock.now_ns()
            try:
                pixels = read_image(path)
            except DecodeError as exc:
                self._decode_error_count += 1
                yield undecodable(
                    exc.problem,
                    frame_index=frame_index,
                    captured_at_ns=captured_at_ns,
                    source_id=source_id_of(path),
                )
                continue
            yield RawFrame(
                pixels=pixels,
                frame_index=frame_index,
                captured_at_ns=captured_at_ns,
                media_time_ns=None,
                source_id=source_id_of(path),
            )

    def close(self) -> None:
        """End the iteration before the next file; may be called twice."""
        self._is_closed = True


def is_image_name(name: str) -> bool:
    """Return whether a file name is that of a picture that is not hidden."""
    return not name.startswith(".") and Path(name).suffix.lower() in _SUFFIXES


def _natural_key(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Return a key that compares runs of digits as numbers; the plain name breaks ties."""
    parts = re.findall(r"[0-9]+|[^0-9]+", path.name.lower())
    return [(int(p), "") if p.isdigit() else (-1, p) for p in parts], path.name


def _header_problem(image: Image.Image) -> str | None:
    """Return what the header says against decoding, or None."""
    problem = size_problem(width_px=image.width, height_px=image.height)
    picture_count = getattr(image, "n_frames", 1)
    # MPO is the JPEG of many cameras: the pictures after the first are previews.
    if problem is None and picture_count > 1 and image.format != "MPO":
        return f"expected one picture in the file, got {picture_count}"
    return problem


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Convert a decoded picture by the rules of ``read_image``.

    Raises:
        DecodeError: The levels have no known range.
    """
    mode = image.mode
    if mode == "L":
        return rgb_from_grey(np.asarray(image))
    if mode == "I" or mode.startswith("I;16"):
        levels = np.asarray(image).astype(np.int64)
        low, high = int(levels.min()), int(levels.max())
        if low < 0 or high > _WHITE_16_BIT:
            raise DecodeError(f"expected levels of 0 to 65535, got {low} to {high}", advice=_ADVICE)
        return rgb_from_grey(levels)
    if mode == "F":
        raise DecodeError("expected integer levels, got floating point", advice=_ADVICE)
    if image.has_transparency_data:
        return on_black(np.asarray(image.convert("RGBA")))
    return np.array(image.convert("RGB"))

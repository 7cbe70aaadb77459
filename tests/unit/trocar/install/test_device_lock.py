"""The lock names signed wheels, each once, by name, version and digest."""

from __future__ import annotations

import pytest

from trocar.contracts.errors import InstallError
from trocar.contracts.limits import DEVICE_LOCK_LINE_COUNT_MAX
from trocar.install.device_lock import LockedWheel, locked_wheels, requirements_text

A, B, T = "a" * 64, "b" * 64, "c" * 64
PRODUCT = "trocar-0.1.0-py3-none-any.whl"
SUBJECTS = {
    PRODUCT: T,
    "wheelhouse/Tiny_Part-2.0-py3-none-any.whl": A,
    "wheelhouse/other-1!3.0+cpu-22-py3-none-any.whl": B,
    "device.lock": "d" * 64,
}
LOCK = f"other==1!3.0+cpu --hash=sha256:{B}\ntiny.part==2.0 --hash=sha256:{A}\n"


@pytest.mark.verifies("SRS_INST_004", extent="partial", technique="requirement")
def test_lines_are_joined_with_their_wheels() -> None:
    """The product's own wheel is always among them."""
    wheels = locked_wheels(LOCK, SUBJECTS)
    assert [wheel.name for wheel in wheels] == ["other", "tiny-part", "trocar"]
    assert wheels[2] == LockedWheel("trocar", "0.1.0", T, PRODUCT)
    assert locked_wheels(f"{LOCK}trocar==0.1.0 --hash=sha256:{T}\n", SUBJECTS) == wheels
    assert requirements_text(wheels).splitlines()[1] == f"tiny-part==2.0 --hash=sha256:{A}"


@pytest.mark.verifies("SRS_INST_004", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    ("lock", "words"),
    [
        ("", "lines in device.lock, got 0"),
        (LOCK * (DEVICE_LOCK_LINE_COUNT_MAX // 2) + LOCK, "lines in device.lock, got 258"),
        ("tiny-part==2.0", "in line 1"),
        (f"tiny-part==2.0 --hash=sha256:{A} --hash=sha256:{B}", "in line 1"),
        (f"tiny-part==2.0 --hash=md5:{A[:32]}", "in line 1"),
        (f"tiny-part==2.0; python_version>'3' --hash=sha256:{A}", "in line 1"),
        (f"{LOCK}\n", "in line 3"),
        (f"{LOCK}# a word", "in line 3"),
        (LOCK + LOCK, "expected other once"),
        (f"tiny-part==2.1 --hash=sha256:{A}", "does not hold it"),
        (f"other==2.0 --hash=sha256:{A}", "does not hold it"),
        (f"tiny-part==2.0 --hash=sha256:{'e' * 64}", "does not hold it"),
    ],
)
def test_other_lock_is_refused(lock: str, words: str) -> None:
    """Each line is one package with one digest, and its wheel is in the release."""
    with pytest.raises(InstallError, match=words):
        locked_wheels(lock, SUBJECTS)


@pytest.mark.parametrize("extra", [{}, {PRODUCT: T, "trocar-0.2.0-py3-none-any.whl": "f" * 64}])
def test_product_lies_beside_the_lock_once(extra: dict[str, str]) -> None:
    """With none or two it would not be said which one is meant."""
    others = {name: digest for name, digest in SUBJECTS.items() if name != PRODUCT}
    with pytest.raises(InstallError, match="exactly one wheel beside the lock"):
        locked_wheels(LOCK, {**others, **extra})


def test_lock_may_not_name_another_product() -> None:
    """A second wheel of Trocar in the wheelhouse does not count."""
    other = "e" * 64
    subjects = {**SUBJECTS, "wheelhouse/trocar-0.1.0-py3-none-any.whl": other}
    with pytest.raises(InstallError, match="another wheel of Trocar"):
        locked_wheels(f"trocar==0.1.0 --hash=sha256:{other}\n", subjects)

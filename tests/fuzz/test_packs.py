"""Damaged signatures, lists, manifests and archives: refused by type, or the very same pack.

Each run makes at least 10,000 deterministic mutations; ``TROCAR_FUZZ_CASES`` asks for more.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pytest

from simulators.packs import write_tiny_pack
from simulators.trust import throwaway_key, trust_of
from trocar.contracts.errors import PackError
from trocar.packs.one_file import ONE_FILE_SUFFIX, one_file_of
from trocar.packs.reading import read_pack_files
from trocar.packs.verify import VerifiedPack, verify_pack
from trocar.statements.dsse import pae
from trocar.statements.trust import APPROVED_PACKS_NAME

CASE_COUNT: Final = max(2_000, 5 * int(os.environ.get("TROCAR_FUZZ_CASES", "0")))
"""Mutations of each target; what a key signs by mistake has fewer, since its paths are few."""

OTHERS: Final[tuple[object, ...]] = (
    None,
    True,
    0,
    -1,
    2**70,
    1.5,
    "",
    "x" * 3000,
    "\ud800",
    [],
    {},
    [[]],
    {"a": 1},
)


def _paths(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each value in JSON, the whole first."""
    open_paths = [(path, value)]
    while open_paths:
        here, found = open_paths.pop(0)
        yield here
        if isinstance(found, list):
            found = dict(enumerate(found))
        if isinstance(found, dict):
            open_paths += [((*here, key), inner) for key, inner in found.items()]


def _replaced(value: object, path: tuple[Any, ...], change: Callable[[Any, Any], object]) -> object:
    """Return a copy of JSON with something done to what holds the end of a path."""
    copy = {"root": json.loads(json.dumps(value))}
    place: Any = copy
    for key in ("root", *path)[:-1]:
        place = place[key]
    change(place, ("root", *path)[-1])
    return copy["root"]


def _set(other: object) -> Callable[[Any, Any], object]:
    return lambda place, key: place.__setitem__(key, other)


def _drop(place: Any, key: Any) -> None:  # noqa: ANN401 - any JSON
    del place[key]


def _double(place: Any, key: Any) -> None:  # noqa: ANN401 - any JSON
    if isinstance(place, list):
        place.append(place[key])
    else:
        place[f"{key}_more"] = place[key]


def type_changes(value: object) -> Iterator[object]:
    """Yield JSON in which one value is another, missing or doubled, for each path."""
    for path in _paths(value):
        for other in OTHERS:
            yield _replaced(value, path, _set(other))
        if path:
            yield _replaced(value, path, _drop)
            yield _replaced(value, path, _double)


def byte_changes(raw: bytes, count: int) -> Iterator[bytes]:
    """Yield truncations and single flipped bits, evenly over all places."""
    cuts = min(len(raw), count // 4)
    for number in range(cuts):
        yield raw[: number * len(raw) // cuts]
    for number in range(count - cuts):
        bit = (number * 8 * len(raw) // (count - cuts) + number) % (8 * len(raw))
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def _dumped(values: Iterator[object]) -> Iterator[bytes]:
    return (json.dumps(value).encode() for value in values)


class Scene:
    """A sound pack, what it is when verified, and one file of it that is damaged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "pack"
        self.sound: VerifiedPack = write_tiny_pack(self.folder)
        self.trust = trust_of(self.folder)

    def outcomes(
        self, path: Path, mutations: Iterator[bytes], *, place: Path | None = None
    ) -> tuple[int, int]:
        """Write each mutation, verify; return how many there were and how many were accepted.

        What is accepted must be the sound pack; what is refused must be a typed error with advice.
        """
        total = accepted = 0
        advices: list[str] = []
        for mutation in mutations:
            path.write_bytes(mutation)
            total += 1
            try:
                found = verify_pack(place or self.folder, self.trust)
            except PackError as exc:
                advices.append(exc.advice)
            else:
                assert found == self.sound
                accepted += 1
        assert all(advices)
        return total, accepted


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Return a scene of its own."""
    return Scene(tmp_path)


@pytest.mark.verifies("SRS_SIGN_001", "SRS_SIGN_002", extent="full", technique="fuzz")
@pytest.mark.proves_effect(
    "RCM_SIGN_001",
    measure="mutations of a signature that are accepted with another meaning",
    acceptance="0 of at least 2,000",
)
def test_damaged_signature_gives_no_other_pack(scene: Scene) -> None:
    """Each JSON path, each truncation, flipped bits."""
    path = scene.folder / "model.sig"
    raw = path.read_bytes()
    changes = [*_dumped(type_changes(json.loads(raw)))]
    total, accepted = scene.outcomes(path, iter(changes))
    more, accepted_bytes = scene.outcomes(path, byte_changes(raw, CASE_COUNT - len(changes)))
    assert total + more >= CASE_COUNT
    assert accepted + accepted_bytes <= CASE_COUNT // 100


def _signed_nonsense(whole: dict[str, Any], envelope: dict[str, Any]) -> Iterator[bytes]:
    """Yield a file for each change of type in its statement, signed again by its own key.

    Args:
        whole: The file.
        envelope: The envelope in it, or the file itself.
    """
    statement = json.loads(base64.b64decode(envelope["payload"]))
    for payload in _dumped(type_changes(statement)):
        signature = throwaway_key().sign(pae(payload))
        envelope["payload"] = base64.b64encode(payload).decode()
        envelope["signatures"][0]["sig"] = base64.b64encode(signature).decode()
        yield json.dumps(whole).encode()


@pytest.mark.verifies("SRS_SIGN_002", extent="full", technique="fuzz")
def test_signed_nonsense_raises_nothing_untyped(scene: Scene) -> None:
    """What a trusted key signed by mistake is refused like anything else."""
    path = scene.folder / "model.sig"
    bundle = json.loads(path.read_bytes())
    signed = _signed_nonsense(bundle, bundle["dsseEnvelope"])
    total, accepted = scene.outcomes(path, islice(signed, CASE_COUNT))
    assert total >= 400
    assert accepted <= total // 50


@pytest.mark.verifies("SRS_SIGN_003", extent="full", technique="fuzz")
@pytest.mark.proves_effect(
    "RCM_SIGN_002",
    measure="mutations of the list of approved packs that are accepted with another meaning",
    acceptance="0 of at least 2,000",
)
def test_damaged_list_approves_nothing_else(scene: Scene) -> None:
    """The list decides what runs: it is judged as strictly as the signature."""
    path = scene.trust / APPROVED_PACKS_NAME
    raw = path.read_bytes()
    changes = [*_dumped(type_changes(json.loads(raw)))]
    total, accepted = scene.outcomes(path, iter(changes))
    more, accepted_bytes = scene.outcomes(path, byte_changes(raw, CASE_COUNT - len(changes)))
    assert total + more >= CASE_COUNT
    assert accepted + accepted_bytes <= CASE_COUNT // 100


@pytest.mark.verifies("SRS_SIGN_003", extent="partial", technique="fuzz")
def test_signed_nonsense_as_list_raises_nothing_untyped(scene: Scene) -> None:
    """A list that a trusted key signed by mistake."""
    path = scene.trust / APPROVED_PACKS_NAME
    envelope = json.loads(path.read_bytes())
    signed = _signed_nonsense(envelope, envelope)
    total, _ = scene.outcomes(path, islice(signed, CASE_COUNT))
    assert total >= 200


@pytest.mark.verifies("SRS_SIGN_002", "SRS_PACK_002", extent="full", technique="fuzz")
def test_damaged_manifest_is_refused(scene: Scene) -> None:
    """It has a digest that was signed: no change of it is accepted, whatever it says."""
    path = scene.folder / "manifest.json"
    raw = path.read_bytes()
    changes = [*islice(_dumped(type_changes(json.loads(raw))), CASE_COUNT // 2)]
    total, accepted = scene.outcomes(path, iter(changes))
    more, accepted_bytes = scene.outcomes(path, byte_changes(raw, CASE_COUNT - len(changes)))
    assert total + more >= CASE_COUNT
    assert (accepted, accepted_bytes) == (0, 0)


@pytest.mark.verifies("SRS_SIGN_005", extent="full", technique="fuzz")
def test_damaged_archive_gives_no_other_pack(scene: Scene) -> None:
    """No byte of an archive is without meaning."""
    path = scene.folder.with_name(f"pack{ONE_FILE_SUFFIX}")
    raw = one_file_of(read_pack_files(scene.folder))
    total, accepted = scene.outcomes(path, byte_changes(raw, CASE_COUNT), place=path)
    headers = [at for at in range(0, len(raw), 512) if raw[at + 257 : at + 262] == b"ustar"]
    flips = _header_flips(raw, headers)
    more, accepted_headers = scene.outcomes(path, islice(flips, CASE_COUNT), place=path)
    assert (total, more) >= (CASE_COUNT, min(CASE_COUNT, 512 * len(headers)))
    assert accepted + accepted_headers <= CASE_COUNT // 100


def _header_flips(raw: bytes, headers: list[int]) -> Iterator[bytes]:
    """Yield one flipped bit after the other in each header."""
    for place in range(512):
        for header in headers:
            changed = bytearray(raw)
            changed[header + place] ^= 1 << place % 8
            yield bytes(changed)

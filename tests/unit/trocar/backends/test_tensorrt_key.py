"""A stored engine is used for exactly what it was built for, on the device that built it."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from simulators.tensorrt_keys import ENGINE, GPU, KEY
from trocar.backends import tensorrt_key
from trocar.backends.tensorrt_build import SETTINGS
from trocar.backends.tensorrt_key import EngineRejectedError, seal, unseal

DEVICE_KEY: Final = bytes(range(32))
OTHERS: Final = {
    "model": replace(KEY, model_sha256="b" * 64),
    "shape": replace(KEY, profile=("frame uint8 [1, 64, 96, 3]", KEY.profile[1])),
    "precision": replace(KEY, precision="int8"),
    "version": replace(KEY, tensorrt_version="11.4.0.107"),
    "workspace": replace(KEY, settings=replace(SETTINGS, workspace_bytes=1)),
    "level": replace(KEY, settings=replace(SETTINGS, optimization_level=5)),
    "rounds": replace(KEY, settings=replace(SETTINGS, timing_rounds=1)),
    "refit": replace(KEY, settings=replace(SETTINGS, flags_on=("REFIT",))),
    "tf32": replace(KEY, settings=replace(SETTINGS, flags_off=())),
    "gpu name": replace(KEY, gpu=replace(GPU, name="Another")),
    "capability": replace(KEY, gpu=replace(GPU, compute_capability="8.6")),
    "card": replace(KEY, gpu=replace(GPU, uuid="01" * 16)),
    "memory": replace(KEY, gpu=replace(GPU, memory_bytes=1)),
    "driver": replace(KEY, gpu=replace(GPU, driver_cuda="13.0")),
}
"""Each differs from ``KEY`` in one thing."""


def _sealed(header: bytes, engine: bytes = ENGINE) -> bytes:
    """Return an authentic file with another header."""
    body = b"TROCAR-ENGINE-1\n" + len(header).to_bytes(4, "big") + header + engine
    return body + hmac.digest(DEVICE_KEY, body, "sha256")


@pytest.mark.verifies("SRS_TRT_006", "UNIT_TRT_KEY", extent="partial", technique="example")
def test_engine_comes_back_as_it_was_stored() -> None:
    """The only file that is taken."""
    assert unseal(seal(ENGINE, KEY, DEVICE_KEY), KEY, DEVICE_KEY) == ENGINE


@pytest.mark.verifies("SRS_TRT_005", extent="full", technique="equivalence")
@pytest.mark.proves_effect(
    "RCM_TRT_001",
    measure="authentic engines of another model, shape, precision, setting, version or GPU taken",
    acceptance="0 of 14 kinds",
)
@pytest.mark.parametrize("what", OTHERS)
def test_engine_of_anything_else_is_refused(what: str) -> None:
    """Also where somebody has given the file the name of the one that is asked for."""
    other = OTHERS[what]
    assert other.digest != KEY.digest
    with pytest.raises(EngineRejectedError, match="built for something else"):
        unseal(seal(ENGINE, other, DEVICE_KEY), KEY, DEVICE_KEY)


@pytest.mark.verifies("SRS_TRT_006", "SRS_TRT_007", extent="full", technique="fault_injection")
@pytest.mark.proves_effect(
    "RCM_TRT_001",
    measure="stored engines with one changed, lost or added byte that are taken",
    acceptance="0 of 2,000",
)
def test_no_changed_file_is_taken() -> None:
    """Every place of the file: magic, length, header, engine, code."""
    stored = seal(ENGINE, KEY, DEVICE_KEY)
    chance = random.Random(24)  # noqa: S311 - places to damage, no secret
    for _ in range(2000):
        at = chance.randrange(len(stored))
        kind = chance.randrange(3)
        middle = (
            bytes([stored[at] ^ (1 << chance.randrange(8))]),
            b"",
            b"\0" + stored[at : at + 1],
        )
        damaged = stored[:at] + middle[kind] + stored[at + 1 :]
        with pytest.raises(EngineRejectedError, match="authentication code"):
            unseal(damaged, KEY, DEVICE_KEY)


@pytest.mark.verifies("SRS_TRT_006", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("stored", [b"", b"\0" * 31, b"\0" * 32, b"\0" * 52])
def test_file_without_a_code_is_refused(stored: bytes) -> None:
    """A power cut leaves such files on some disks."""
    with pytest.raises(EngineRejectedError, match="authentication code"):
        unseal(stored, KEY, DEVICE_KEY)


@pytest.mark.verifies("SRS_TRT_006", extent="partial", technique="requirement")
@pytest.mark.controls("RCM_TRT_001")
def test_engine_of_another_device_is_refused() -> None:
    """Its key is another one."""
    with pytest.raises(EngineRejectedError, match="this device's key"):
        unseal(seal(ENGINE, KEY, bytes(32)), KEY, DEVICE_KEY)


def _doubled(header: bytes) -> bytes:
    """Return the header with one field twice, the asked-for one last."""
    return b'{"precision":"int8",' + header[1:]


@pytest.mark.verifies("SRS_TRT_005", extent="partial", technique="equivalence")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_doubled, "written in another way"),
        (lambda header: json.dumps(json.loads(header)).encode(), "written in another way"),
        (lambda _: b"[]", "no object"),
        (lambda _: b"{", "no JSON"),
        (lambda _: b"\xff", "no JSON"),
        (lambda _: b'{"a":1}', "a, gpu, model_sha256"),
    ],
)
def test_authentic_header_is_compared_whole(change: Callable[[bytes], bytes], said: str) -> None:
    """A parser that takes the last of two equal names would take the first of these."""
    with pytest.raises(EngineRejectedError, match=said):
        unseal(_sealed(change(KEY.header())), KEY, DEVICE_KEY)


@pytest.mark.verifies("SRS_TRT_007", extent="partial", technique="boundary")
def test_form_of_another_version_is_refused() -> None:
    """Authentic files that an older or newer Trocar wrote."""
    for body in (b"TROCAR-ENGINE-2\n" + b"\0" * 20, b"TROCAR-ENGINE-1\n\xff\xff\xff\xff"):
        stored = body + hmac.digest(DEVICE_KEY, body, "sha256")
        with pytest.raises(EngineRejectedError, match="its form"):
            unseal(stored, KEY, DEVICE_KEY)


@pytest.mark.verifies("SRS_TRT_007", extent="partial", technique="boundary")
def test_size_of_the_engine_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing, and more than an engine may have."""
    with pytest.raises(EngineRejectedError, match="has 0 bytes"):
        unseal(seal(b"", KEY, DEVICE_KEY), KEY, DEVICE_KEY)
    monkeypatch.setattr(tensorrt_key, "ENGINE_BYTES_MAX", len(ENGINE))
    assert unseal(seal(ENGINE, KEY, DEVICE_KEY), KEY, DEVICE_KEY) == ENGINE
    with pytest.raises(EngineRejectedError, match=f"has {len(ENGINE) + 1} bytes"):
        unseal(seal(ENGINE + b"!", KEY, DEVICE_KEY), KEY, DEVICE_KEY)


@pytest.mark.verifies("SRS_TRT_005", extent="partial", technique="requirement")
@pytest.mark.controls("RCM_TRT_001")
def test_name_is_the_digest_of_everything_that_counts() -> None:
    """So that engines of two packs or GPUs lie side by side."""
    assert KEY.digest == hashlib.sha256(KEY.header()).hexdigest()
    assert len({KEY.digest, *(other.digest for other in OTHERS.values())}) == len(OTHERS) + 1
    assert set(json.loads(KEY.header())) == {
        *("model_sha256", "profile", "precision", "settings", "tensorrt_version", "gpu"),
    }

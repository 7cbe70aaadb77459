"""What a stored engine is bound to, and the form in which it is stored.

A stored engine is ``magic | length of the header | header | engine | HMAC-SHA256 of all before``.
The header is the canonical JSON of the key and of nothing else: it is compared byte by byte with
the one that is expected, so that no parser decides what is loaded.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import asdict, dataclass
from typing import Final

from trocar.backends.tensorrt_cuda import GpuIdentity
from trocar.contracts.limits import ENGINE_BYTES_MAX
from trocar.contracts.manifest import ModelManifest, TensorSpec

__all__ = [
    "OVERHEAD_BYTES",
    "BuildSettings",
    "EngineKey",
    "EngineRejectedError",
    "seal",
    "unseal",
]

_MAGIC: Final = b"TROCAR-ENGINE-1\n"
_LENGTH_BYTES: Final = 4
_MAC_BYTES: Final = 32
_HEADER_ROOM_BYTES: Final = 65_536

OVERHEAD_BYTES: Final = len(_MAGIC) + _LENGTH_BYTES + _HEADER_ROOM_BYTES + _MAC_BYTES
"""What a stored engine may have beside the engine."""


class EngineRejectedError(Exception):
    """A stored engine may not be used; its text says why. It stays inside the backends."""


@dataclass(frozen=True)
class BuildSettings:
    """How an engine is built; a change of any of it is another engine.

    Attributes:
        workspace_bytes: Scratch memory of one layer.
        optimization_level: How long the library looks for faster kernels, 0 to 5.
        timing_rounds: Runs over which the library averages when it compares kernels.
        flags_on: Names in ``BuilderFlag`` that are set.
        flags_off: Names in ``BuilderFlag`` that are cleared.
    """

    workspace_bytes: int
    optimization_level: int
    timing_rounds: int
    flags_on: tuple[str, ...]
    flags_off: tuple[str, ...]


# @need-ids: SRS_TRT_005
@dataclass(frozen=True)
class EngineKey:
    """Everything on which an engine depends.

    Attributes:
        model_sha256: Digest of the verified ONNX bytes.
        profile: Name, element type and shape of input and output.
        precision: Precision that was asked for.
        settings: How it is built.
        tensorrt_version: Version of the library that builds and reads it.
        gpu: The GPU that builds and runs it, with the driver's version.
    """

    model_sha256: str
    profile: tuple[str, ...]
    precision: str
    settings: BuildSettings
    tensorrt_version: str
    gpu: GpuIdentity

    @classmethod
    def of(
        cls,
        model: bytes,
        manifest: ModelManifest,
        *,
        precision: str,
        settings: BuildSettings,
        tensorrt_version: str,
        gpu: GpuIdentity,
    ) -> EngineKey:
        """Return the key of an engine of these bytes on this machine."""
        return cls(
            model_sha256=hashlib.sha256(model).hexdigest(),
            profile=tuple(map(_described, (manifest.input, manifest.output))),
            precision=precision,
            settings=settings,
            tensorrt_version=tensorrt_version,
            gpu=gpu,
        )

    def header(self) -> bytes:
        """Return the key as canonical JSON."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode("ascii")

    @property
    def digest(self) -> str:
        """SHA-256 of the header; the name under which the engine is stored."""
        return hashlib.sha256(self.header()).hexdigest()


def _described(spec: TensorSpec) -> str:
    """Return name, element type and fixed shape of a tensor."""
    return f"{spec.name} {spec.dtype.value} {list(spec.shape)}"


# @need-ids: SRS_TRT_006
def seal(engine: bytes, key: EngineKey, device_key: bytes) -> bytes:
    """Return the stored form of an engine."""
    header = key.header()
    body = b"".join((_MAGIC, len(header).to_bytes(_LENGTH_BYTES, "big"), header, engine))
    return body + hmac.digest(device_key, body, "sha256")


# @need-ids: SRS_TRT_005, SRS_TRT_006, SRS_TRT_007
def unseal(stored: bytes, key: EngineKey, device_key: bytes) -> bytes:
    """Return the engine in a stored form, once it is shown to be of this device and of this key.

    The code is checked before anything in the file is looked at.

    Raises:
        EngineRejectedError: It is not; the text says what differs.
    """
    # @need-ids: RCM_TRT_001
    if not hmac.compare_digest(
        hmac.digest(device_key, stored[:-_MAC_BYTES], "sha256"), stored[-_MAC_BYTES:]
    ):
        raise EngineRejectedError("its authentication code is not that of this device's key")
    header_at = len(_MAGIC) + _LENGTH_BYTES
    length = int.from_bytes(stored[len(_MAGIC) : header_at], "big")
    header, engine = (
        stored[header_at : header_at + length],
        stored[header_at + length : -_MAC_BYTES],
    )
    if not stored.startswith(_MAGIC) or len(header) != length:
        raise EngineRejectedError("its form is not that of this version of Trocar")
    # @need-ids: RCM_TRT_001
    if header != key.header():
        raise EngineRejectedError(f"it was built for something else: {_difference(header, key)}")
    if not 0 < len(engine) <= ENGINE_BYTES_MAX:
        raise EngineRejectedError(f"its engine has {len(engine)} bytes")
    return engine


def _difference(header: bytes, key: EngineKey) -> str:
    """Name the fields of an authentic header that differ; for the text only."""
    try:
        found = json.loads(header)
    except ValueError:
        return "its header is no JSON"
    expected = json.loads(key.header())
    if not isinstance(found, dict):
        return "its header is no object"
    names = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
    return ", ".join(names) or "its header is written in another way"

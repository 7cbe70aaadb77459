"""What signature, approval and digests of a pack cost, beside a bare SHA-256 of the same bytes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from benchmarks.measure import Benchmark, Row, interleave_ms, median_row, ratios
from trocar.packs.verify import SHIPPED_TRUST, VerifiedPack, verify_pack
from trocar_lab.packing.build import PackContent, write_pack
from trocar_lab.packing.drafts import read_draft
from trocar_lab.signing.keys import new_file_key
from trocar_lab.signing.packs import sign_pack, write_approved, write_bundle

__all__ = ["run"]

VERIFY_AND_LOAD_MS_MAX: Final = 200.0
MODEL_BYTES: Final = 20_000_000
_LAYERS: Final = 5
_SIDE_PX: Final = 64
_VERIFY: Final = """
import sys, time
from pathlib import Path
from trocar.packs.verify import verify_pack
begin_ns = time.perf_counter_ns()
verify_pack(Path(sys.argv[1]), Path(sys.argv[2]))
print((time.perf_counter_ns() - begin_ns) / 1e6)
"""
"""The first verification of a process; the modules of Trocar are there already."""


def run(*, is_quick: bool) -> Benchmark:
    """Measure a pack with 20 MB of weights in both forms."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trust = _write_scene(folder)
        places = {"folder": folder / "pack", "one file": folder / "bench-1.0.0.trocarpack"}
        sound = verify_pack(places["folder"], trust)
        times = interleave_ms(
            {
                "read and SHA-256": lambda: _hash_all(places["folder"]),
                "verify, folder": lambda: verify_pack(places["folder"], trust),
                "verify, one file": lambda: verify_pack(places["one file"], trust),
                "session": lambda: _session(sound),
                "verify and load": lambda: _session(verify_pack(places["folder"], trust)),
            },
            rounds=5 if is_quick else 25,
        )
        cold_ms = [_first_ms(places["folder"], trust) for _ in range(3 if is_quick else 15)]
    return Benchmark(
        name="bench_packs",
        title="Signed packs",
        text=(
            f"A pack with {MODEL_BYTES / 1e6:.0f} MB of weights, by turns, from the page cache."
            " Loading is a session of ONNX Runtime from the verified bytes, with one thread and"
            " without a call. The first check of a process also imports the cryptographic library."
        ),
        rows=_rows(times, cold_ms),
    )


def _rows(times: dict[str, list[float]], cold_ms: list[float]) -> list[Row]:
    """Return the table."""
    bare = times["read and SHA-256"]
    return [
        median_row("read the files and SHA-256 them, nothing else", bare, "ms"),
        median_row("verify, folder", times["verify, folder"], "ms"),
        median_row(
            "verify, folder, against the bare SHA-256", ratios(times["verify, folder"], bare), "x"
        ),
        median_row("verify, one file", times["verify, one file"], "ms"),
        median_row("load: session from the bytes", times["session"], "ms"),
        median_row("verify and load", times["verify and load"], "ms", most=VERIFY_AND_LOAD_MS_MAX),
        median_row(
            "first verification of a process, which imports the cryptographic library",
            cold_ms,
            "ms",
        ),
    ]


def _hash_all(folder: Path) -> list[str]:
    """Read every file and hash it."""
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()]


def _session(pack: VerifiedPack) -> object:
    """Return a session on the verified bytes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(pack.model, options, providers=["CPUExecutionProvider"])


def _first_ms(place: Path, trust: Path) -> float:
    """Return the time of the first verification of a new process [ms]."""
    words = [sys.executable, "-c", _VERIFY, str(place), str(trust)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return float(done.stdout)


def _write_scene(folder: Path) -> Path:
    """Write the pack in both forms, and the trust folder that approves it."""
    key = new_file_key()
    trust = folder / "trust"
    trust.mkdir()
    (trust / "bench.release.pem").write_bytes(key.public_pem)
    frame = np.full((1, _SIDE_PX, _SIDE_PX, 3), 40, dtype=np.uint8)
    facts = read_draft(SHIPPED_TRUST.parent / "packs" / "polyp_segmentation").manifest.model_dump(
        mode="json"
    )
    facts |= {"pack_name": "bench", "pack_version": "1.0.0"}
    facts["input"] |= {"name": "frame", "shape": [1, _SIDE_PX, _SIDE_PX, 3]}
    facts["output"] |= {"name": "prob", "shape": [1, 1, _SIDE_PX, _SIDE_PX]}
    output: NDArray[np.float32] = np.zeros((1, 1, _SIDE_PX, _SIDE_PX), dtype=np.float32)
    write_pack(folder / "pack", PackContent(_model(), "# Bench\n", frame, output), facts)
    write_approved([sign_pack(folder / "pack", key)], trust, key)
    write_bundle(folder / "pack", folder, trust)
    return trust


def _model() -> bytes:
    """Return an ONNX file with 20 MB of weights in a few convolutions."""
    channels = int((MODEL_BYTES / 4 / 9 / _LAYERS) ** 0.5)
    generator = np.random.default_rng(7)
    nodes = [
        helper.make_node("Cast", ["frame"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["levels"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "first"], ["x0"]),
    ]
    weights = [("first", (channels, 3, 1, 1)), ("last", (1, channels, 1, 1))]
    for number in range(_LAYERS):
        names = [f"x{number}", f"w{number}"]
        nodes.append(helper.make_node("Conv", names, [f"x{number + 1}"], pads=[1, 1, 1, 1]))
        weights.append((f"w{number}", (channels, channels, 3, 3)))
    nodes.append(helper.make_node("Conv", [f"x{_LAYERS}", "last"], ["prob"]))
    graph = helper.make_graph(
        nodes,
        "bench",
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, [1, _SIDE_PX, _SIDE_PX, 3])],
        [helper.make_tensor_value_info("prob", TensorProto.FLOAT, [1, 1, _SIDE_PX, _SIDE_PX])],
        [
            numpy_helper.from_array(generator.normal(0, 0.01, shape).astype(np.float32), name)
            for name, shape in weights
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))

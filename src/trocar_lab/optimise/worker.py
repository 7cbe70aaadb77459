"""One variant in one engine, in a process of its own: answers and times on request.

OpenVINO keeps each compiled model until its process ends, and two engines in one process share
threads and caches; so each variant has a process, and only one of them computes at a time.

Requests are lines of JSON on standard input, answers lines of JSON on standard output.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from trocar.backends.choices import Engine, Precision
from trocar.backends.request import BackendRequest
from trocar.backends.select import open_backend
from trocar.contracts.errors import TrocarError
from trocar.contracts.manifest import ModelManifest
from trocar.contracts.ports import Backend

__all__ = ["MODEL_FILE", "SPEC_FILE", "busy_s", "main", "serve"]

MODEL_FILE: Final = "model.onnx"
SPEC_FILE: Final = "spec.json"
_SEED: Final = 5


def serve(folder: Path, requests: IO[str], answers: IO[str]) -> int:
    """Open the variant that a folder describes and answer until the requests end.

    Returns:
        0, also where the engine refuses the variant: the refusal is the answer.
    """
    spec = json.loads((folder / SPEC_FILE).read_text(encoding="utf-8"))
    manifest = ModelManifest.model_validate_json(json.dumps(spec["manifest"]))
    request = BackendRequest(
        engine=Engine(spec["engine"]),
        precision=Precision(spec["precision"]),
        thread_count=spec["thread_count"],
    )
    model = (folder / MODEL_FILE).read_bytes()
    try:
        backends = [open_backend(model, manifest, request) for _ in range(spec["call_count"])]
    except TrocarError as exc:
        _say(answers, {"refused": exc.problem})
        return 0
    info = backends[0].info
    _say(answers, {"engine": info.engine, "precision": info.precision})
    frame = np.random.default_rng(_SEED).integers(0, 256, manifest.input.shape, dtype=np.uint8)
    with ThreadPoolExecutor(max_workers=len(backends)) as pool:
        for line in requests:
            asked = json.loads(line)
            if asked["do"] == "time":
                begin_s, others_s = time.process_time(), busy_s()
                times_ms = _times_ms(backends, pool, frame, asked["count"])
                own_s, all_s = time.process_time() - begin_s, busy_s() - others_s
                _say(answers, {"times_ms": times_ms, "others_s": max(all_s - own_s, 0.0)})
            else:
                inputs = np.load(asked["inputs"])
                np.save(asked["outputs"], _outputs(backends[0], inputs))
                _say(answers, {"count": len(inputs)})
    return 0


def busy_s() -> float:
    """Return the time for which the machine's cores have been at work [s]; 0 where unknown."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    except OSError:
        return 0.0
    user, nice, system, _, _, irq, soft_irq, *_ = (int(one) for one in fields)
    return (user + nice + system + irq + soft_irq) / os.sysconf("SC_CLK_TCK")


def _outputs(backend: Backend, inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the network's answer to each frame."""
    return np.concatenate([backend.infer(np.ascontiguousarray(one[np.newaxis])) for one in inputs])


def _times_ms(
    backends: list[Backend], pool: ThreadPoolExecutor, frame: NDArray[np.uint8], count: int
) -> list[float]:
    """Return the time of each call [ms]; with several at a time, that of each round over them."""
    calls: list[Callable[[], object]] = [partial(one.infer, frame) for one in backends]
    times = []
    for index in range(count + 1):
        begin_ns = time.perf_counter_ns()
        if len(calls) == 1:
            calls[0]()
        else:
            list(pool.map(lambda call: call(), calls))
        if index:
            times.append((time.perf_counter_ns() - begin_ns) / 1e6 / len(calls))
    return times


def _say(answers: IO[str], what: dict[str, Any]) -> None:
    """Write one answer."""
    answers.write(json.dumps(what) + "\n")
    answers.flush()


def main(arguments: list[str]) -> int:
    """Serve the folder that is named."""
    return serve(Path(arguments[0]), sys.stdin, sys.stdout)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A small clean project for the self-test, made from text: needs, source, tests, evidence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from trocar_lab.evidence.graph.need_graph import Graph, read_graph
from trocar_lab.evidence.graph.needs import Need, needs_json_of
from trocar_lab.evidence.graph.needs_source import scan_sources
from trocar_lab.evidence.selftest.demo_completeness import COMPLETENESS_FILES
from trocar_lab.evidence.selftest.demo_process import PROCESS_FILES
from trocar_lab.evidence.selftest.demo_strength import STRENGTH_FILES
from trocar_lab.evidence.source.python_tests import TestFunction, scan_tests
from trocar_lab.evidence.store.evidence_record import (
    CollectedLine,
    EndLine,
    Line,
    OutcomeLine,
    RunLine,
    chain,
    need_lines,
)
from trocar_lab.evidence.store.identity import (
    PlatformRecord,
    RunIdentity,
    locks_sha256,
    pack_digests,
)
from trocar_lab.provenance.code_identity import folder_sha256
from trocar_lab.provenance.platform_record import AGX, SURROGATE
from trocar_lab.provenance.platform_record import PlatformRecord as MachineFacts

_KINDS: Final = (
    "input_output",
    "interface",
    "security",
    "user_interface",
    "data",
    "installation",
    "maintenance",
    "network",
    "user_maintenance",
    "regulatory",
)
_REQUIREMENTS: Final = """\
Requirements
============

.. user_need:: See the structure in live video
   :id: UN_DEMO_001

   The engineer needs to see the structure in each frame.

.. sys_req:: Mask per frame
   :id: SYS_DEMO_001
   :derives: UN_DEMO_001

   The system shall give one mask a frame.

.. srs:: Segment one frame
   :id: SRS_DEMO_001
   :kind: functional
   :safety_class: B
   :derives: SYS_DEMO_001

   The unit shall give a mask of the size of the frame.

.. srs:: Withhold stale frames
   :id: SRS_DEMO_002
   :kind: alarm
   :safety_class: B
   :derives: SYS_DEMO_001
   :realises: RCM_DEMO_001

   The unit shall withhold a result for a frame older than 100 ms.
"""
_ARCHITECTURE: Final = """\
Architecture
============

.. item:: Units
   :id: ITEM_DEMO_UNITS
   :safety_class: B
   :satisfies: SRS_DEMO_001, SRS_DEMO_002

   Runs models.

.. item:: Streaming
   :id: ITEM_DEMO_STREAM
   :safety_class: B
   :satisfies: SRS_DEMO_002

   Owns time.

.. interface:: Frame slot
   :id: IFC_DEMO_SLOT
   :between: ITEM_DEMO_UNITS, ITEM_DEMO_STREAM

   One frame at a time.

.. unit:: Segmenter
   :id: UNIT_DEMO_SEGMENTER
   :symbol: trocar.demo:Segmenter
   :safety_class: B
   :part_of: ITEM_DEMO_UNITS
   :implements: SRS_DEMO_001, SRS_DEMO_002
   :enforces: RCM_DEMO_001
   :runs: MDL_DEMO_NET

   One frame in, one mask out.

.. soup:: NumPy
   :id: SOUP_DEMO_NUMPY
   :package: numpy
   :version: >=2.2,<3
   :supplier: NumPy developers
   :purpose: Arrays
   :anomaly_list: https://example.org/numpy/issues
   :reviewed: 2026-11-01
   :reviewer: Demo Reviewer
   :anomaly_review: 3 open entries, none touches an array of 8-bit pixels
   :used_by: ITEM_DEMO_UNITS

   Arrays.

.. model:: Demo network
   :id: MDL_DEMO_NET
   :version: 1.0
   :digest: sha256:{zeros}
   :reviewed: 2026-11-01
   :trained_on: DATA_DEMO_SET
   :used_by: ITEM_DEMO_UNITS

   A network.

.. dataset:: Demo set
   :id: DATA_DEMO_SET
   :version: 1.0
   :digest: sha256:{zeros}
   :reviewed: 2026-11-01
   :licence: CC0
   :origin: Rendered

   Rendered frames.
"""
_RISK: Final = """\
Risk
====

.. hazard:: Wrong information
   :id: HAZ_DEMO_001

   The screen shows what is not there.

.. harm:: Missed lesion
   :id: HARM_DEMO_001
   :severity: 4

   A lesion is not seen.

.. hazardous_situation:: Mask of an old frame
   :id: HSIT_DEMO_001
   :sequence: The source stalls; the last frame stays; its mask is drawn on a new position
   :p1: 4
   :p2: 3
   :residual_p1: 1
   :cause_kinds: specification_fault, software_defect, soup_failure, hardware_fault,
      foreseeable_misuse
   :arises_from: HAZ_DEMO_001
   :leads_to: HARM_DEMO_001
   :caused_by: ITEM_DEMO_STREAM, UNIT_DEMO_SEGMENTER

   The user looks at the wrong place.

.. risk_control:: Stale frames are withheld
   :id: RCM_DEMO_001
   :option: protective
   :acts_on: p1
   :new_hazards: no
   :reduces: HSIT_DEMO_001
   :counters: THR_DEMO_001

   A frame older than the limit gives no mask.

.. threat:: Replayed stream
   :id: THR_DEMO_001
   :enables: HSIT_DEMO_001

   An attacker replays frames.
"""
_VERIFICATION: Final = """\
Verification
============

.. test_case:: Age under load on the edge module
   :id: TC_DEMO_01
   :method: test
   :level: system
   :platform: agx
   :acceptance: p99 age at most 100 ms over 10 000 frames
   :verifies: SRS_DEMO_002

   Run the stream at twice the speed of the unit.

.. anomaly:: Mask is one pixel too wide
   :id: ANO_DEMO_001
   :anomaly_state: open
   :criticality: minor
   :impact: The border of a mask is one pixel too wide
   :risk_evaluation: No situation depends on one pixel
   :rationale: Below the accuracy that is claimed
   :owner: Demo Owner
   :problem_type: corrective
   :affected_versions: 1.0
   :reported: 2026-11-01
   :affects: UNIT_DEMO_SEGMENTER
   :assessed_in: HSIT_DEMO_001

   Seen on odd sizes.
"""
_DEVICE: Final = '''\
"""A unit."""

AGE_MS_MAX = 100


class Segmenter:
    """Give one mask a frame."""

    # @need-ids: SRS_DEMO_001
    def run(self, pixels: list[int], age_ms: int) -> list[int] | None:
        """Return the mask, or None for a stale frame."""
        # @need-ids: SRS_DEMO_002, RCM_DEMO_001
        if age_ms > AGE_MS_MAX:
            return None
        return [int(value > 0) for value in pixels]
'''
_UNIT_TESTS: Final = '''\
"""Unit tests."""

import pytest

from trocar.demo import AGE_MS_MAX, Segmenter

FRAME = [0, 1, 2]


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.verifies("SRS_DEMO_001", "UNIT_DEMO_SEGMENTER", extent="full", technique="boundary")
def test_mask_has_size_of_frame(size: int) -> None:
    """The mask has the size of the frame."""
    assert len(Segmenter().run(FRAME * size, 0)) == len(FRAME) * size


@pytest.mark.verifies("SRS_DEMO_002")
@pytest.mark.controls("RCM_DEMO_001")
def test_stale_frame_is_withheld() -> None:
    """A stale frame gives no mask."""
    assert Segmenter().run(FRAME, AGE_MS_MAX + 1) is None
'''
_INTEGRATION_TESTS: Final = '''\
"""Integration tests."""

import pytest


@pytest.mark.verifies("IFC_DEMO_SLOT")
def test_slot_keeps_the_newest_frame() -> None:
    """The slot drops the oldest frame."""
    assert max([1, 2]) == 2


@pytest.mark.proves_effect("RCM_DEMO_001", measure="stale masks", acceptance="0 of 1 000 frames")
def test_no_stale_mask_reaches_the_screen() -> None:
    """A stalled source draws no mask."""
    assert not []


@pytest.mark.case("TC_DEMO_01")
def test_age_under_load() -> None:
    """The age stays below its limit."""
    assert 90 <= 100
'''
_NOT_APPLICABLE: Final = "".join(
    f'[[not_applicable]]\nrule = "C9"\nkey = "{kind}"\n'
    'reason = "The demo project has no such requirement"\n'
    'name = "Demo Reviewer"\ndate = 2026-11-01\n\n'
    for kind in _KINDS
)

DEMO_FILES: Final[Mapping[str, str]] = {
    "requirements_spec/demo.rst": _REQUIREMENTS,
    "docs/architecture/demo.rst": _ARCHITECTURE.replace("{zeros}", "0" * 64),
    "risk/demo.rst": _RISK,
    "verification/demo.rst": _VERIFICATION,
    "verification/not_applicable.toml": _NOT_APPLICABLE,
    "src/trocar/__init__.py": '"""The device."""\n',
    "src/trocar/demo.py": _DEVICE,
    "src/trocar/assets/packs/demo/manifest.json": "{}\n",
    "tests/unit/test_demo.py": _UNIT_TESTS,
    "tests/integration/test_demo_stream.py": _INTEGRATION_TESTS,
    **PROCESS_FILES,
    **STRENGTH_FILES,
    **COMPLETENESS_FILES,
}
_START_NS: Final[Mapping[str, int]] = {"host": 10**12, "agx": 2 * 10**12}
NODES: Final[Mapping[str, tuple[str, ...]]] = {
    "tests/unit/test_demo.py::test_mask_has_size_of_frame": ("[1]", "[2]"),
}


def write_demo(root: Path, files: Mapping[str, str]) -> None:
    """Write the files of a demo project."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def demo_graph(root: Path, keep: Callable[[Need], bool] = lambda _need: True) -> Graph:
    """Write needs.json and return its graph; ``keep`` drops needs, as Sphinx drops a bad one."""
    scan = scan_sources(root)
    path = root / "needs.json"
    needs = [need for need in scan.by_id().values() if keep(need)]
    path.write_text(json.dumps(needs_json_of(needs)), encoding="utf-8")
    return read_graph(path)


def demo_lines(root: Path, graph: Graph, *, platform: str = "host") -> list[Line]:
    """Return the evidence lines of a run in which every test passes.

    Args:
        root: Root of the demo project.
        graph: Its needs.
        platform: host or agx.
    """
    functions, _ = scan_tests(root)
    nodes = [(f, f.function + suffix) for f in functions for suffix in NODES.get(f.function, ("",))]
    return run_lines(root, graph, nodes, platform=platform)


def run_lines(
    root: Path,
    graph: Graph,
    nodes: Sequence[tuple[TestFunction, str]],
    *,
    platform: str = "host",
) -> list[Line]:
    """Return the evidence lines of a run in which every given node passes.

    Args:
        root: Root of the project.
        graph: Its needs.
        nodes: Each node with the function that it belongs to.
        platform: host or agx.
    """
    claimed = {claim.need_id for function, _ in nodes for claim in function.claims}
    phases = {"setup": "passed", "call": "passed", "teardown": "passed"}
    start_ns, second_ns = _START_NS[platform], 1_000_000_000
    return [
        RunLine(
            run_id=hashlib.sha256(platform.encode()).hexdigest()[:32],
            started="2026-11-21T08:00:00+00:00",
            monotonic_ns=start_ns,
            identity=_identity(root, platform),
        ),
        *need_lines(graph, claimed),
        *(_collected(function, node) for function, node in nodes),
        *(
            OutcomeLine(
                node=node,
                outcome="passed",
                phases=phases,
                started="2026-11-21T08:00:01+00:00",
                duration_s=0.01 if platform == "host" else 0.02,
                monotonic_ns=start_ns + second_ns,
            )
            for _, node in nodes
        ),
        EndLine(
            finished="2026-11-21T08:00:02+00:00",
            monotonic_ns=start_ns + 2 * second_ns,
            exit_status=0,
            node_count=len(nodes),
        ),
    ]


def write_evidence(
    folder: Path, lines: list[Line], *, name: str = "run-20261121T080000Z-1.jsonl"
) -> Path:
    """Write one evidence file with a sound chain and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("".join(text + "\n" for text in chain(lines)), encoding="utf-8")
    return path


def _collected(function: TestFunction, node: str) -> CollectedLine:
    """Return the collected line of one node, as the pytest plugin would write it."""
    return CollectedLine(
        node=node,
        source_file=function.source_file,
        source_name=function.source_name,
        digest=function.digest,
        claims=function.claims,
    )


def machine_facts(platform: str) -> MachineFacts:
    """Return what the files of a machine of one platform say.

    Args:
        platform: host or agx.
    """
    is_agx = platform == AGX
    return MachineFacts(
        platform_class=AGX if is_agx else SURROGATE,
        tegra_release="# R36 (release), REVISION: 4.0" if is_agx else "",
        board_model="NVIDIA IGX Orin Developer Kit" if is_agx else "",
        machine="aarch64" if is_agx else "x86_64",
        cpu_model="Demo processor",
        cpu_count=2,
        memory_bytes=1,
        kernel="6",
        is_realtime_kernel=False,
        governors=(),
        isolated_cpus="",
        boot_words=(),
        rt_runtime_us="",
        scheduler="other",
        affinity=(0, 1),
        tools={},
    )


def _identity(root: Path, platform: str) -> RunIdentity:
    """Return the identity of a demo run."""
    facts = machine_facts(platform)
    record = PlatformRecord(
        host_class=platform,
        system="Linux",
        release="6",
        machine=facts.machine,
        cpu_count=2,
        machine_sha256=hashlib.sha256(f"machine {platform}".encode()).hexdigest(),
        boot_id=f"boot of {platform}",
        facts=facts,
    )
    return RunIdentity(
        commit="0" * 40,
        clean=True,
        device_sha256=folder_sha256(root / "src" / "trocar"),
        lab_sha256=folder_sha256(root / "src" / "trocar_lab"),
        wheel_sha256="1" * 64,
        lock_sha256=locks_sha256(root),
        packs=pack_digests(root),
        platform=record,
        python="3.11.0",
        operator="Demo Operator",
    )

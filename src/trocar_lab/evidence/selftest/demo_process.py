"""Process and release of the demo project: documents, tools, changes, records, signed release."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from trocar.statements.dsse import envelope_text, pae
from trocar_lab.evidence.graph.need_graph import Graph
from trocar_lab.evidence.rules.documents import DocumentKind, load_anchors
from trocar_lab.evidence.rules.risk import risk_file_digest
from trocar_lab.evidence.signed.release_folder import (
    AUDIT,
    DRILL,
    ENVELOPE,
    MANIFEST,
    REBUILD,
    SBOM,
)
from trocar_lab.evidence.signed.release_numbers import FILE as NUMBERS
from trocar_lab.evidence.signed.release_statement import (
    KEYS,
    ReleasePredicate,
    release_payload,
)
from trocar_lab.evidence.source.commits import Commit, CommitLog

VERSION: Final = "1.0.0"
RELEASE: Final = "release"
LOCK: Final = "pylock.device-cpu.toml"
RELEASE_KEY: Final = f"{KEYS}/demo.release.pem"
WHEEL: Final = f"demo-{VERSION}-py3-none-any.whl"
_HEAD: Final = "0" * 40
_NUMPY_SHA256: Final = "2" * 64
DEMO_COMMITS: Final = CommitLog(
    commits=(
        Commit(
            commit=_HEAD,
            short="0000000",
            subject="Withhold stale frames",
            changes=("CHG_DEMO_001",),
        ),
    ),
    head=_HEAD,
    tags={f"v{VERSION}": _HEAD},
)

_PROCESS: Final = """\
Process
=======

.. change:: Withhold stale frames
   :id: CHG_DEMO_001
   :impact: The unit gives no mask for a frame older than its limit
   :reason: A mask of an old frame was drawn on a new position
   :touches: UNIT_DEMO_SEGMENTER, RCM_DEMO_001

   The age of a frame is compared with a limit before the mask is made.

.. anomaly:: Mask of an empty frame
   :id: ANO_DEMO_002
   :anomaly_state: closed
   :criticality: minor
   :impact: A frame without pixels gave an error instead of an empty mask
   :risk_evaluation: No situation begins with an empty frame
   :rationale: Solved
   :owner: Demo Owner
   :problem_type: corrective
   :affected_versions: 0.9.0
   :reported: 2026-10-05
   :closed_on: 2026-10-20
   :regression_test: tests/unit/test_demo.py::test_mask_has_size_of_frame
   :resolved_by: CHG_DEMO_001
   :affects: UNIT_DEMO_SEGMENTER

   Seen in a test with generated sizes.

.. tool:: Checker
   :id: TOOL_DEMO_CHECKER
   :package: checker
   :version: 2.0
   :purpose: Finds type errors
   :potential_errors: It reports nothing where there is an error
   :validation: A planted error turns it red

   Checks types.

.. tool:: Builder
   :id: TOOL_DEMO_BUILDER
   :package: builder
   :version: 1.5
   :purpose: Packs the wheel
   :potential_errors: It leaves a file out
   :validation: The wheel is installed afresh and run

   Packs the wheel.

.. tool:: tox
   :id: TOOL_DEMO_TOX
   :package: tox
   :version: 4.20 or newer
   :purpose: Runs the checks in a fresh environment
   :potential_errors: It leaves a check out
   :validation: Evidence names every test file that was run

   Runs the checks.
"""
_USE: Final = """\
Use
===

.. misuse:: Recording shown as live
   :id: MIS_DEMO_001
   :followed_up: HSIT_DEMO_001

   Somebody plays a recording and takes it for the live picture.

.. characteristic:: Delay of the picture
   :id: CHAR_DEMO_001
   :followed_up: HSIT_DEMO_001

   The mask is later than the picture that it belongs to.

.. characteristic:: Energy on the patient
   :id: CHAR_DEMO_002
   :dismissed: The software drives nothing that gives energy to a patient

   Whether energy is applied.
"""
_SBOM: Final[Mapping[str, Any]] = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "metadata": {"properties": [{"name": "trocar:lock", "value": LOCK}]},
    "components": [
        {
            "type": "library",
            "name": "numpy",
            "version": "2.2.1",
            "supplier": {"name": "NumPy developers"},
            "hashes": [{"alg": "SHA-256", "content": _NUMPY_SHA256}],
            "properties": [
                {"name": "trocar:support_level", "value": "maintained"},
                {"name": "trocar:end_of_support", "value": "2027-12-31"},
            ],
        }
    ],
}


def _wheel() -> bytes:
    """Return the demo wheel; the same bytes on every machine."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        name = zipfile.ZipInfo(f"demo-{VERSION}.dist-info/METADATA", (1980, 1, 1, 0, 0, 0))
        lines = ("Metadata-Version: 2.4", "Name: demo", f"Version: {VERSION}")
        archive.writestr(name, "\n".join([*lines, "Requires-Dist: numpy<3,>=2.2", "", ""]))
    return target.getvalue()


_WHEEL_BYTES: Final = _wheel()
_WHEEL_SHA256: Final = hashlib.sha256(_WHEEL_BYTES).hexdigest()
_REBUILD: Final = {
    "wheel": WHEEL,
    "sha256": _WHEEL_SHA256,
    "rebuilt_sha256": _WHEEL_SHA256,
    "tag": f"v{VERSION}",
    "commit": _HEAD,
    "machine": "second builder of the demo",
    "date": "2026-11-20",
}
DEMO_PREDICATE: Final = ReleasePredicate.model_validate({
    "version": VERSION,
    "sequence": 3,
    "grade": "production",
    "expires": "2027-11-20",
    "commit": _HEAD,
    "device": {"python": "3.11", "platform": "linux_x86_64"},
})
_DRILL: Final = {"date": "2026-11-01", "name": "Demo Owner", "result": "restored"}


def _document(name: str, kind: DocumentKind, words_min: int) -> str:
    """Return a document of one kind that holds every section that it must hold."""
    title = kind.about
    lines = [
        title,
        "=" * len(title),
        "",
        f".. document:: {title}",
        f"   :id: DOC_DEMO_{name.upper()}",
    ]
    lines += [f"   :document_kind: {name}", f"   :path: docs/process/{name}.rst"]
    lines += ["   :purpose: Shows the form of such a document", "   :author: Developer of the demo"]
    lines += ["   :approver: Quality manager of the demo", "", "   A document of the demo.", ""]
    for section in kind.sections:
        body = " ".join(
            [f"In the demo this section only fills its place ({section.says})."] * words_min
        )
        words = " ".join(body.split()[: words_min + 5])
        lines += [
            f".. _{section.label}:",
            "",
            section.label,
            "-" * len(section.label),
            "",
            words,
            "",
        ]
    return "\n".join(lines)


def _documents() -> dict[str, str]:
    """Return one document of each kind."""
    anchors = load_anchors()
    return {
        f"docs/process/{name}.rst": _document(name, kind, anchors.words_min)
        for name, kind in anchors.kind.items()
    }


_LOCK_TEXT: Final = (
    'lock-version = "1.0"\n\n[[packages]]\nname = "numpy"\nversion = "2.2.1"\n'
    f'wheels = [{{ name = "numpy.whl", hashes = {{ sha256 = "{_NUMPY_SHA256}" }} }}]\n'
)
_AUDIT: Final = {
    "locks": {LOCK: hashlib.sha256(_LOCK_TEXT.encode()).hexdigest()},
    "database": {"newest": "2026-11-19T00:00:00+00:00", "records": 3},
    "compared": 1,
    "accepted": [],
    "findings": [],
}
PROCESS_FILES: Final[Mapping[str, str]] = {
    **_documents(),
    "verification/demo_process.rst": _PROCESS,
    "risk/demo_use.rst": _USE,
    "verification/change_control.toml": (
        f'[baseline]\ncommit = "{"f" * 40}"\nreason = "First commit of the demo project"\n'
        'name = "Demo Owner"\ndate = 2026-10-01\n'
    ),
    "CHANGELOG.md": f"# Changelog\n\n## [{VERSION}] - 2026-11-20\n\nFirst version.\n",
    "tox.ini": "[tox]\nmin_version = 4.20\n",
    LOCK: _LOCK_TEXT,
    "pyproject.toml": (
        '[build-system]\nrequires = ["builder==1.5"]\n\n'
        f'[project]\nname = "demo"\nversion = "{VERSION}"\ndependencies = ["numpy>=2.2,<3"]\n\n'
        '[project.optional-dependencies]\ncheck = ["checker==2.0"]\n'
    ),
    NUMBERS: (
        '[[release]]\nversion = "0.9.0"\nsequence = 2\n\n'
        f'[[release]]\nversion = "{VERSION}"\nsequence = 3\n'
    ),
    f"{RELEASE}/{AUDIT}": json.dumps(_AUDIT, indent=1),
    f"{RELEASE}/{SBOM}": json.dumps(_SBOM, indent=1),
    f"{RELEASE}/{REBUILD}": json.dumps(_REBUILD, indent=1),
    f"{RELEASE}/{DRILL}": json.dumps(_DRILL, indent=1),
}


def judge_demo(root: Path, graph: Graph) -> None:
    """Write the judgement on the overall residual risk of the demo in its present text."""
    (root / "verification" / "residual_risk.toml").write_text(
        f'[[overall]]\nrelease = "{VERSION}"\nfingerprint = "{risk_file_digest(graph)}"\n'
        'statement = "One low risk remains; the demo is for nobody to use"\n'
        'name = "Demo Owner"\nrole = "Risk manager of the demo"\ndate = 2026-11-20\n',
        encoding="utf-8",
    )


def write_demo_release(root: Path, key: ec.EllipticCurvePrivateKey | None = None) -> None:
    """Write the wheel, the manifest and the signature over what a release of the demo holds.

    A public key that a fault planted stays; any other file in the folder is not signed.

    Args:
        root: Root of the demo project, its files written.
        key: Private key; a throwaway one when left out.
    """
    private, folder = key or ec.generate_private_key(ec.SECP256R1()), root / RELEASE
    (folder / WHEEL).write_bytes(_WHEEL_BYTES)
    manifest = {"deliverables": [_entry(folder / name) for name in (WHEEL, SBOM, AUDIT, REBUILD)]}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    sign_demo_release(root, private, names=(WHEEL, SBOM, AUDIT, REBUILD, DRILL, MANIFEST))
    public = root / RELEASE_KEY
    if not public.exists():
        public.parent.mkdir(parents=True, exist_ok=True)
        public.write_bytes(
            private.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )


def sign_demo_release(
    root: Path,
    key: ec.EllipticCurvePrivateKey,
    *,
    names: tuple[str, ...],
    predicate: ReleasePredicate = DEMO_PREDICATE,
) -> None:
    """Sign the named files of the release folder as they lie there now.

    Args:
        root: Root of the demo project.
        key: Private key.
        names: Files to sign.
        predicate: Which release it is said to be.
    """
    folder = root / RELEASE
    subjects = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    payload = release_payload(subjects, predicate)
    signature = key.sign(pae(payload), ec.ECDSA(hashes.SHA256()))
    (folder / ENVELOPE).write_text(envelope_text(payload, signature), encoding="utf-8")


def _entry(path: Path) -> dict[str, str | int]:
    """Return the line of the manifest about one file."""
    content = path.read_bytes()
    return {
        "name": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }

"""Latency bundles among imported evidence: judged anew from their raw times, or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simulators.evidence_runs import lines_of, write_run
from simulators.evidence_sites import MODEL, Site, make_site, refused
from simulators.latency_bundles import (
    agx_platform,
    edit_json,
    edit_rows,
    platform_of,
    settings_of,
    write_bundle,
)
from simulators.soak_bundles import SoakShape, write_soak
from trocar_lab.evidence.store.attachments import copy_attachments
from trocar_lab.evidence.store.evidence_record import OutcomeLine
from trocar_lab.evidence.store.identity import file_sha256, pack_digests
from trocar_lab.evidence.store.intake import import_bundle
from trocar_lab.evidence.store.seal import seal_folder
from trocar_lab.latency.settings import RecordSettings


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a repository and a bundle with one run of it on an edge box."""
    return make_site(tmp_path)


def _with_latency(
    site: Site, edit: Callable[[Path], object] = lambda _bundle: None, *, on: str = "agx"
) -> RecordSettings:
    """Attach a latency bundle of this commit to the run, edit it before that, and seal all."""
    settings = settings_of()
    recorded = site.root.parent / "repository" / "recorded"
    platform = agx_platform() if on == "agx" else platform_of()
    write_bundle(recorded, settings, platform=platform)
    identity = site.identity()
    facts = identity.platform.facts
    assert facts is not None

    def own(manifest: dict[str, Any]) -> None:
        """Make the recording one of this commit, its packs and the machine of the run."""
        manifest["code"] |= {"commit": site.commit, "device_sha256": identity.device_sha256}
        if on == "agx":
            manifest["platform"] |= {
                "tegra_release": facts.tegra_release,
                "board_model": facts.board_model,
            }
        for run in manifest["runs"]:
            run["unit"]["pack_digest"] = pack_digests(site.root)["demo"]
            run["model_sha256"] = file_sha256(site.root / MODEL)

    edit_json(recorded / "manifest.json", own)
    edit(recorded)
    lines = lines_of(identity=identity)
    outcome = lines[7]
    assert isinstance(outcome, OutcomeLine)
    attached = copy_attachments(recorded, site.bundle / "run-one.jsonl", node=outcome.node)
    lines[7] = outcome._replace(attachments=tuple(attached))
    write_run(site.bundle, lines)
    seal_folder(site.bundle)
    return settings


@pytest.mark.verifies("SRS_TRACE_016", extent="partial", technique="requirement")
def test_latency_bundle_is_judged_from_its_raw_times(site: Site) -> None:
    """Its verdict is computed here; 600 frames are too few, and that is said and brought in."""
    _with_latency(site)
    told = import_bundle(site.request())
    assert "latency verdict INSUFFICIENT, recomputed from raw times (agx: " in told[-1]


def _in_runs(name: str, value: object) -> Callable[[Path], None]:
    """Return an edit of one fact of every run of a recording."""

    def edit(manifest: dict[str, Any]) -> None:
        """Change the fact."""
        for run in manifest["runs"]:
            (run if name == "model_sha256" else run["unit"])[name] = value

    return lambda bundle: edit_json(bundle / "manifest.json", edit)


def _in_code(name: str, value: object) -> Callable[[Path], None]:
    """Return an edit of the code identity of a recording."""
    return lambda bundle: edit_json(
        bundle / "manifest.json", lambda manifest: manifest["code"].update({name: value})
    )


LATENCY_REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "row removed": (
        lambda bundle: edit_rows(bundle / "frames-idle-01.csv.gz", lambda rows: rows[1:]),
        "latency: idle-01: expected frames 0 to",
    ),
    "sums lost": (lambda bundle: (bundle / "SHA256SUMS").unlink(), "latency: incomplete"),
    "other model": (_in_runs("model_sha256", "1" * 64), "the model is none of its commit"),
    "other pack": (_in_runs("pack_digest", "1" * 64), "the model pack is none of its commit"),
    "other device": (_in_code("device_sha256", "1" * 64), "the device under test is not the one"),
    "other commit": (_in_code("commit", "a" * 40), "is that of no run beside it"),
    "dirty": (_in_code("is_dirty", True), "the tree was not clean when it was recorded"),  # noqa: FBT003 - a value in a file
}


@pytest.mark.verifies("SRS_TRACE_016", extent="partial", technique="fault_injection")
@pytest.mark.parametrize("name", LATENCY_REFUSED)
def test_latency_bundle_that_does_not_hold_is_refused(site: Site, name: str) -> None:
    """A recording counts for the machine, the commit and the model of the runs beside it."""
    edit, words = LATENCY_REFUSED[name]
    _with_latency(site, edit)
    assert words in refused(site.request())


def test_latency_bundle_of_another_machine_is_refused(site: Site) -> None:
    """Times of a fast host do not become those of the edge box by lying beside its run."""
    _with_latency(site, on="host")
    assert "recorded on another machine than the runs beside it" in refused(site.request())


def _with_soak(site: Site, edit: Callable[[Path], object] = lambda _folder: None) -> None:
    """Attach a soak of this commit to the run, edit it before that, and seal all."""
    recorded = write_soak(site.root.parent / "repository" / "soak", SoakShape(timed_s=600))
    identity = site.identity()
    facts = identity.platform.facts
    assert facts is not None

    def own(manifest: dict[str, Any]) -> None:
        """Make the soak one of this commit, its packs and the machine of the run."""
        manifest["code"] |= {"commit": site.commit, "device_sha256": identity.device_sha256}
        manifest["platform"] |= agx_platform().model_dump(mode="json")
        manifest["platform"] |= {
            "tegra_release": facts.tegra_release,
            "board_model": facts.board_model,
        }
        for unit in manifest["facts"]["units"]:
            unit["info"]["pack_digest"] = pack_digests(site.root)["demo"]
            unit["model_sha256"] = file_sha256(site.root / MODEL)

    edit_json(recorded / "manifest.json", own)
    edit(recorded)
    lines = lines_of(identity=identity)
    outcome = lines[7]
    assert isinstance(outcome, OutcomeLine)
    attached = copy_attachments(recorded, site.bundle / "run-one.jsonl", node=outcome.node)
    lines[7] = outcome._replace(attachments=tuple(attached))
    write_run(site.bundle, lines)
    seal_folder(site.bundle)


@pytest.mark.verifies("SRS_LATE_004", extent="partial", technique="requirement")
def test_soak_is_judged_from_its_raw_files(site: Site) -> None:
    """Its verdict is computed here; ten minutes are too few, and that is brought in as it is."""
    _with_soak(site)
    told = import_bundle(site.request())
    assert "soak verdict INSUFFICIENT, recomputed from raw files (agx: " in told[-1]


@pytest.mark.verifies("SRS_LATE_007", extent="partial", technique="fault_injection")
@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda folder: (folder / "SHA256SUMS").unlink(), "soak: incomplete"),
        (_in_code("commit", "a" * 40), "is that of no run beside it"),
        (_in_code("is_dirty", True), "the tree was not clean when it was recorded"),  # noqa: FBT003 - a value in a file
        (
            lambda folder: edit_json(
                folder / "manifest.json",
                lambda manifest: manifest["facts"]["units"][0].update(model_sha256="1" * 64),
            ),
            "soak: the model is none of its commit",
        ),
    ],
    ids=["sums lost", "other commit", "dirty", "other model"],
)
def test_soak_that_does_not_hold_is_refused(
    site: Site, edit: Callable[[Path], object], words: str
) -> None:
    """A soak counts for the machine, the commit and the model of the runs beside it."""
    _with_soak(site, edit)
    assert words in refused(site.request())

"""Evidence from another machine: brought in as a whole, or refused with every reason named."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simulators.evidence_runs import identity_of, lines_of, rechain, write_run
from simulators.evidence_sites import NOW, Site, make_site, refused
from trocar_lab.evidence.__main__ import main
from trocar_lab.evidence.store.evidence_files import IMPORTS_NAME, SEAL_NAME
from trocar_lab.evidence.store.evidence_record import Line
from trocar_lab.evidence.store.evidence_store import read_store
from trocar_lab.evidence.store.identity import file_sha256
from trocar_lab.evidence.store.intake import import_bundle
from trocar_lab.evidence.store.seal import locked, seal_folder, write_seal
from trocar_lab.provenance.code_identity import folder_sha256


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a repository and a bundle with one run of it on an edge box."""
    return make_site(tmp_path)


# ------------------------------------------------------------------- accepted


def _packed(site: Site, kind: str) -> Path:
    """Return the bundle as a folder or packed."""
    if kind == "folder":
        return site.bundle
    form = {"tar.gz": "gztar", "zip": "zip"}[kind]
    above = site.bundle.parent
    return Path(shutil.make_archive(str(above / "sent"), form, root_dir=above, base_dir="bundle"))


@pytest.mark.verifies("SRS_TRACE_016", extent="full", technique="requirement")
@pytest.mark.parametrize("kind", ["folder", "tar.gz", "zip"])
def test_sound_bundle_is_brought_in_whole(site: Site, kind: str) -> None:
    """Every byte of it lies in one folder of its own, and a log tells who brought it and when."""
    seal = seal_folder(site.bundle)
    bundle = _packed(site, kind)
    told = import_bundle(site.request(bundle))
    name = f"imported-{seal[:16]}"
    assert told[0] == f"imported {bundle.name} as {name}, seal {seal}"
    assert told[1] == "run-one.jsonl: agx, 3 of 3 nodes, finished"
    sent = {path.name: path.read_bytes() for path in site.bundle.iterdir()}
    assert {path.name: path.read_bytes() for path in (site.folder / name).iterdir()} == sent
    (line,) = (site.folder / IMPORTS_NAME).read_text(encoding="utf-8").splitlines()
    record = json.loads(line)
    assert (record["operator"], record["commit"]) == ("Demo Operator", site.commit)
    assert (record["imported_at"], record["source_sha256"]) == (NOW.isoformat(), seal)
    store = read_store(site.folder)
    assert store.faults == {}
    assert [(run.path, run.platform) for run in store.runs] == [(f"{name}/run-one.jsonl", "agx")]
    seal_folder(site.folder)
    assert (read_store(site.folder).faults, read_store(site.folder).doubts) == ({}, {})


def test_second_bundle_goes_beside_the_first(site: Site) -> None:
    """The log grows; a seal over the folder may grow with it."""
    seal_folder(site.bundle)
    import_bundle(site.request())
    seal_folder(site.folder)
    shutil.rmtree(site.bundle)
    write_run(site.bundle, lines_of(name="two", begin_s=60, identity=site.identity()), "two")
    seal_folder(site.bundle)
    import_bundle(site.request())
    assert len((site.folder / IMPORTS_NAME).read_text(encoding="utf-8").splitlines()) == 2
    assert len(read_store(site.folder, with_seal=False).runs) == 2
    seal_folder(site.folder)
    assert read_store(site.folder).faults == {}


def test_wheel_stands_for_the_source(site: Site, tmp_path: Path) -> None:
    """What was installed from a wheel is compared with that wheel, file by file."""
    wheel = tmp_path / "repository" / "demo.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("trocar/b.py", "b")
        archive.writestr("trocar/a/c.py", "c")
        archive.writestr("demo.dist-info/RECORD", "")
    installed = tmp_path / "repository" / "site-packages" / "trocar"
    (installed / "a").mkdir(parents=True)
    (installed / "b.py").write_text("b", encoding="utf-8")
    (installed / "a" / "c.py").write_text("c", encoding="utf-8")
    identity = site.identity(
        wheel_sha256=file_sha256(wheel), device_sha256=folder_sha256(installed)
    )
    write_run(site.bundle, lines_of(identity=identity))
    seal_folder(site.bundle)
    assert "the device under test is not that of the commit" in refused(site.request())
    (wheel.with_name("no.whl")).write_text("no wheel", encoding="utf-8")
    assert "not a wheel" in refused(site.request(wheel=wheel.with_name("no.whl")))
    import_bundle(site.request(wheel=wheel))


def test_command_says_what_it_did(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0 for a bundle that came in, 1 and the reasons for one that did not."""
    write_run(site.bundle, lines_of(identity=site.identity(), begin_s=-3000))
    seal_folder(site.bundle)
    words = ["import", str(site.bundle), "-o", str(site.folder), "--root", str(site.root)]
    assert main([*words, "--operator", "Demo Operator"]) == 0
    assert "imported bundle as imported-" in capsys.readouterr().out
    assert main([*words, "--operator", ""]) == 1
    assert "IMPORT REFUSED: who brings it in" in capsys.readouterr().err


# ------------------------------------------------------------------- refused for what it says


def _resealed(site: Site, lines: list[Line]) -> None:
    """Write another run and a seal over it, whatever is wrong with it."""
    write_run(site.bundle, lines)
    write_seal(site.bundle, read_store(site.bundle, with_seal=False))


def _relabelled(site: Site) -> None:
    """Send a run of a host as one of an edge box, linked and sealed anew."""
    identity = site.identity("host")
    label = identity.platform.model_copy(update={"host_class": "agx"})
    _resealed(site, lines_of(identity=identity.model_copy(update={"platform": label})))


def _without_facts(site: Site) -> None:
    """Send a run as version 1 of the format had it."""
    write_run(site.bundle, lines_of(identity=site.identity("host")))
    (site.bundle / "run-old.jsonl").write_text("{}\n", encoding="utf-8")


def _changed_after_sealing(site: Site) -> None:
    """Change a file under the seal."""
    (site.bundle / "note.txt").write_text("one", encoding="utf-8")
    seal_folder(site.bundle)
    (site.bundle / "note.txt").write_text("two", encoding="utf-8")


def _added_after_sealing(site: Site) -> None:
    """Add a file beside the seal."""
    seal_folder(site.bundle)
    (site.bundle / "note.txt").write_text("one", encoding="utf-8")


def _broken_chain(site: Site) -> None:
    """Change an outcome and seal that."""
    path = site.bundle / "run-one.jsonl"
    text = path.read_text(encoding="utf-8").replace("0.25", "0.20", 1)
    path.write_text(text, encoding="utf-8")
    write_seal(site.bundle, read_store(site.bundle, with_seal=False))


def _nested(site: Site) -> None:
    """Send what was itself imported."""
    shutil.copytree(site.bundle, site.bundle / "imported-0")
    write_seal(site.bundle, read_store(site.bundle, with_seal=False))


def _other(**changes: object) -> Callable[[Site], None]:
    """Return the sending of a run with another identity."""
    return lambda site: _resealed(site, lines_of(identity=site.identity("agx", **changes)))


REFUSED: dict[str, tuple[Callable[[Site], None], str]] = {
    "not sealed": (lambda _site: None, f"no {SEAL_NAME}"),
    "no run": (lambda site: (site.bundle / "run-one.jsonl").unlink(), "holds no run"),
    "changed after sealing": (_changed_after_sealing, "note.txt: differs from the seal"),
    "added after sealing": (_added_after_sealing, "note.txt: is not in the seal"),
    "chain": (_broken_chain, "was changed or does not follow"),
    "foreign file": (_without_facts, "run-old.jsonl: line 1"),
    "label": (_relabelled, "labelled agx, but the recorded facts of the machine say host"),
    "nested": (_nested, "holds what was itself imported"),
    "dirty tree": (_other(clean=False), "the tree was not clean"),
    "other commit": (_other(commit="1" * 40), f"commit {'1' * 40} is not in the history"),
    "no commit": (_other(commit=""), "commit '' is none"),
    "option for git": (_other(commit="--output=x"), "commit '--output=x' is none"),
    "other device": (_other(device_sha256="0" * 64), "the device under test is not that"),
    "other toolchain": (_other(lab_sha256="0" * 64), "the toolchain under test is not that"),
    "other lock": (_other(lock_sha256=""), "the lock under test is not that"),
    "other model": (_other(packs={"demo": "0" * 64}), "the model packs under test"),
    "no model": (_other(packs=None), "the model packs under test"),
    "future": (
        lambda site: _resealed(site, lines_of(identity=site.identity(), begin_s=5 * 3600)),
        "in the future",
    ),
    "before its commit": (
        lambda site: _resealed(site, lines_of(identity=site.identity(), begin_s=-30 * 3600)),
        "before its commit was made",
    ),
}


@pytest.mark.verifies("SRS_TRACE_016", extent="full", technique="fault_injection")
@pytest.mark.parametrize("name", REFUSED)
def test_unsound_bundle_is_refused(site: Site, name: str) -> None:
    """The reason is named, and the folder of evidence stays as it was."""
    site.folder.mkdir()
    write_run(site.folder, lines_of(name="host", identity=identity_of()), "host")
    edit, words = REFUSED[name]
    edit(site)
    assert words in refused(site.request())


def test_every_reason_is_named_at_once(site: Site) -> None:
    """Who sends a bundle from far away must not have to send it five times."""
    _other(clean=False, packs={}, device_sha256="0" * 64)(site)
    said = refused(site.request())
    assert all(words in said for words in ("not clean", "the model packs", "the device under"))


def test_version_1_is_refused(site: Site) -> None:
    """It names no machine, so that nobody could say what it is evidence of."""
    path = write_run(site.bundle, lines_of(identity=site.identity("host")))
    rechain(path, lambda rows: rows[0].update(schema_version=1))
    write_seal(site.bundle, read_store(site.bundle, with_seal=False))
    assert "version 1 of the format does not say" in refused(site.request())


@pytest.mark.verifies("SRS_TRACE_016", extent="partial", technique="fault_injection")
def test_replay_is_refused(site: Site) -> None:
    """The same run counts once, whatever it is called and whatever else is sent with it."""
    seal_folder(site.bundle)
    import_bundle(site.request())
    assert "replayed: it is here already as imported-" in refused(site.request())
    (site.bundle / "run-one.jsonl").rename(site.bundle / "run-other.jsonl")
    (site.bundle / SEAL_NAME).unlink()
    (site.bundle / "note.txt").write_text("new", encoding="utf-8")
    seal_folder(site.bundle)
    assert "run-other.jsonl: replayed" in refused(site.request())
    shutil.rmtree(next(site.folder.glob("imported-*")))
    assert "replayed: imported before as imported-" in refused(site.request())


def test_clock_set_back_on_the_other_machine_is_refused(site: Site) -> None:
    """A run that began before the last one of its machine ended was dated by a wrong clock."""
    seal_folder(site.bundle)
    import_bundle(site.request())
    shutil.rmtree(site.bundle)
    path = write_run(site.bundle, lines_of(name="b", begin_s=60, identity=site.identity()))

    def back(rows: list[dict[str, Any]]) -> None:
        """Date the run an hour earlier."""
        for row in rows:
            for key in {"started", "finished"} & row.keys():
                moved = dt.datetime.fromisoformat(row[key]) - dt.timedelta(hours=1)
                row[key] = moved.isoformat()

    rechain(path, back)
    seal_folder(site.bundle)
    assert read_store(site.bundle).faults == {}
    said = refused(site.request())
    assert "bundle/run-one.jsonl: the wall clock ran backwards between imported-" in said


def test_import_waits_for_no_one(site: Site) -> None:
    """Two imports at a time: the second is refused, and can be tried again."""
    seal_folder(site.bundle)
    site.folder.mkdir()
    with locked(site.folder):
        assert "another command is changing it" in refused(site.request())
    import_bundle(site.request())


# ------------------------------------------------------------------- what was brought in is kept


def _brought_in(site: Site) -> Path:
    """Bring the bundle in and return its folder."""
    seal_folder(site.bundle)
    import_bundle(site.request())
    return next(site.folder.glob("imported-*"))


def _lose_record(site: Site, _part: Path) -> None:
    """Be broken off between the two steps of an import."""
    (site.folder / IMPORTS_NAME).unlink()


def _other_record(site: Site, _part: Path) -> None:
    """Change who brought it in."""
    path = site.folder / IMPORTS_NAME
    path.write_text(path.read_text("utf-8").replace("Demo Op", "Demo Up"), encoding="utf-8")


LATER: dict[str, tuple[Callable[[Site, Path], object], str]] = {
    "record lost": (_lose_record, "does not tell of this bundle"),
    "record changed": (_other_record, "line 1: was changed or does not follow"),
    "log cut": (
        lambda site, _part: (site.folder / IMPORTS_NAME).write_text("{", encoding="utf-8"),
        "line 1: is cut off",
    ),
    "log of another kind": (
        lambda site, _part: (site.folder / IMPORTS_NAME).write_text("{}\n", encoding="utf-8"),
        "line 1: has no link",
    ),
    "seal lost": (lambda _site, part: (part / SEAL_NAME).unlink(), "has no seal of its own"),
    "file changed": (
        lambda _site, part: (part / "run-one.jsonl").write_bytes(b""),
        "differs from the seal",
    ),
    "folder lost": (lambda _site, part: shutil.rmtree(part), "named in imports.jsonl, but missing"),
    "another seal": (
        lambda _site, part: (part / SEAL_NAME).write_text('{"files":[]}', encoding="utf-8"),
        "does not tell of this bundle",
    ),
}


@pytest.mark.parametrize("name", LATER)
def test_what_was_brought_in_must_stay(site: Site, name: str) -> None:
    """After the import, any change of the bundle or of the log is a fault of the folder."""
    edit, words = LATER[name]
    part = _brought_in(site)
    assert read_store(site.folder, with_seal=False).faults == {}
    edit(site, part)
    faults = read_store(site.folder, with_seal=False).faults
    assert any(words in why for reasons in faults.values() for why in reasons), faults


def test_damaged_log_refuses_the_next_import(site: Site) -> None:
    """A record behind a broken one would follow nothing."""
    _brought_in(site)
    _other_record(site, site.folder)
    write_run(site.bundle, lines_of(name="two", begin_s=60, identity=site.identity()))
    (site.bundle / SEAL_NAME).unlink()
    seal_folder(site.bundle)
    assert "imports.jsonl here is damaged: line 1" in refused(site.request())


def test_archive_of_the_tree_is_what_the_run_digested(site: Site) -> None:
    """A bundle is compared with what git holds, not with the working tree."""
    seal_folder(site.bundle)
    (site.root / "src" / "trocar" / "demo.py").write_text("changed = True\n", encoding="utf-8")
    assert import_bundle(site.request())

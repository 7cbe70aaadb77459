"""The workflow files: least rights, pinned actions, no secret; and the linter that also looks."""

from __future__ import annotations

import json
import re
import subprocess
import sysconfig
import textwrap
import zipfile
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[4]
WORKFLOWS: Final = ROOT / ".github" / "workflows"
FILES: Final = sorted(WORKFLOWS.glob("*.yml"))
_ACTION: Final = re.compile(r"uses: (?P<action>\S+)(?P<rest>.*)")
_PINNED: Final = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
_VERSION: Final = re.compile(r" # v\d+\.\d+\.\d+$")


def jobs_of(text: str) -> dict[str, str]:
    """Return each job of a workflow with its text; files here indent by two blanks."""
    body = text.split("\njobs:\n")[1]
    parts = re.split(r"^  (\w+):\n", body, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rights_of(job: str) -> set[str]:
    """Return the rights that a job has."""
    block = re.search(r"^    permissions:\n((?:      .*\n)+)", job, flags=re.MULTILINE)
    assert block, "a job without its rights written down"
    return {line.split("#")[0].strip() for line in block[1].splitlines()}


def lint(folder: Path) -> list[str]:
    """Return the kinds of findings of zizmor, offline."""
    program = Path(sysconfig.get_path("scripts")) / "zizmor"
    done = subprocess.run(
        [program, "--offline", "--quiet", "--persona=auditor", "--format=json-v1", folder],
        capture_output=True,
        check=False,
    )
    return [finding["ident"] for finding in json.loads(done.stdout)]


@pytest.mark.verifies("SRS_REL_012", extent="partial", technique="equivalence")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit(path: Path) -> None:
    """A tag can be moved to other code; the version stands behind for people."""
    found = list(_ACTION.finditer(path.read_text(encoding="utf-8")))
    assert found
    for match in found:
        assert _PINNED.fullmatch(match["action"]), match[0]
        assert _VERSION.fullmatch(match["rest"]), match[0]


@pytest.mark.verifies("SRS_REL_012", extent="full", technique="equivalence")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_rights_are_the_least(path: Path) -> None:
    """No right by default; who runs our code may read; who may sign runs none of it, guarded."""
    text = path.read_text(encoding="utf-8")
    assert "\npermissions: {}\n" in text
    assert "secrets." not in text
    assert "pull_request_target" not in text
    assert "persist-credentials: true" not in text
    for name, job in jobs_of(text).items():
        rights = rights_of(job)
        if "actions/checkout@" in job:
            assert rights == {"contents: read"}, name
            assert "persist-credentials: false" in job, name
        else:
            assert rights == {"id-token: write", "attestations: write"}, name
            assert "environment: publish" in job, name
            assert not re.search(r"\b(tox|pip|python)\b", job), name


def test_release_builds_twice_and_publishes_what_was_built() -> None:
    """The job with rights compares the digest that the job without rights gave it."""
    jobs = jobs_of((WORKFLOWS / "release.yml").read_text(encoding="utf-8"))
    assert set(jobs) == {"build", "verify", "publish"}
    assert 'tox -e release -- --tag "${GITHUB_REF_NAME}"' in jobs["build"]
    assert "needs: [build, verify]\n" in jobs["publish"]
    assert "needs.build.outputs.sha256" in jobs["publish"]
    for action in ("actions/attest-build-provenance@", "pypa/gh-action-pypi-publish@"):
        assert action in jobs["publish"]
        assert action not in jobs["build"]


def test_nothing_is_published_that_did_not_pass_the_verification() -> None:
    """A tag can name any commit; none of the three jobs may go on past an error."""
    text = (WORKFLOWS / "release.yml").read_text(encoding="utf-8")
    jobs = jobs_of(text)
    assert "- run: .ci/run\n" in jobs["verify"]
    assert "needs: [build, verify]\n" in jobs["publish"]
    assert not re.search(r"continue-on-error|always\(\)|\bif:", text)


@pytest.mark.parametrize(
    ("keys", "is_published"),
    [
        (("trocar_2027.release.pem",), True),
        (("trocar_2026.development.pem",), False),
        (("trocar_2026.development.pem", "trocar_2027.release.pem"), False),
        ((), False),
    ],
)
def test_wheel_that_trusts_a_development_key_is_not_published(
    tmp_path: Path, keys: tuple[str, ...], *, is_published: bool
) -> None:
    """The very step of the workflow, run on a wheel; it stands before the upload."""
    build = jobs_of((WORKFLOWS / "release.yml").read_text(encoding="utf-8"))["build"]
    step = build.partition("- name: no development key in the wheel\n        run: |\n")[2]
    script, upload, _ = step.partition("      - uses: actions/upload-artifact@")
    assert upload
    (tmp_path / "dist").mkdir()
    with zipfile.ZipFile(tmp_path / "dist" / "trocar-0.1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("trocar/assets/trust/approved_packs.dsse.json", "{}")
        for name in keys:
            wheel.writestr(f"trocar/assets/trust/{name}", "key")
    done = subprocess.run(
        ["/bin/bash", "-e", "-c", textwrap.dedent(script)],
        cwd=tmp_path,
        env={"PATH": f"{sysconfig.get_path('scripts')}:/usr/bin:/bin"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode == 0) is is_published, done.stderr


def test_verify_runs_what_everybody_runs() -> None:
    """The same script as on a bare machine; it calls ``tox -e verify``."""
    assert "- run: .ci/run\n" in (WORKFLOWS / "verify.yml").read_text(encoding="utf-8")
    assert "tox -e verify" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_packages_that_could_not_be_looked_up_are_red() -> None:
    """Without ``--strict`` it ends with 0; the guide shows the command that runs here."""
    command = "pip-audit --strict --require-hashes --disable-pip -r out/device.lock\n"
    workflow = (WORKFLOWS / "verify.yml").read_text(encoding="utf-8")
    guide = (ROOT / "docs" / "how-to" / "check_the_supply_chain.rst").read_text(encoding="utf-8")
    assert f"          {command}" in jobs_of(workflow)["advisories"]
    assert f"   $ {command}" in guide
    assert "continue-on-error" not in workflow


@pytest.mark.verifies("SRS_REL_012", extent="partial", technique="equivalence")
def test_linter_has_no_finding() -> None:
    """Every audit that works without a network, the pedantic ones included."""
    assert lint(WORKFLOWS) == []


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        (r"checkout@[0-9a-f]{40}", "checkout@v4", "unpinned-uses"),
        (r"permissions: \{\}", "permissions: write-all", "excessive-permissions"),
        (r"run: \.ci/run", "run: echo ${{ github.head_ref }}", "template-injection"),
        (r"persist-credentials: false", "persist-credentials: true", "artipacked"),
    ],
)
def test_linter_finds_what_is_planted(tmp_path: Path, old: str, new: str, finding: str) -> None:
    """A linter that finds nothing anywhere would pass the test above too."""
    text = (WORKFLOWS / "verify.yml").read_text(encoding="utf-8")
    changed = re.sub(old, new, text)
    assert changed != text
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    (folder / "verify.yml").write_text(changed)
    assert finding in lint(folder)

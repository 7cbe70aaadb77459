"""Commands on a folder of evidence: seal it, and bring in what another machine recorded."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from trocar_lab.evidence.commands.options import Commands
from trocar_lab.evidence.errors import EvidenceError
from trocar_lab.evidence.store.evidence_files import SEAL_NAME
from trocar_lab.evidence.store.intake import Request, import_bundle
from trocar_lab.evidence.store.seal import seal_folder

EXIT_DONE: Final = 0
EXIT_REFUSED: Final = 1


def add_commands(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add ``seal`` and ``import``."""
    words = f"write {SEAL_NAME} with the digest of every file of the evidence, and print its own"
    seal = commands.add_parser("seal", help=words, description=words)
    seal.set_defaults(command=_seal)
    seal.add_argument("--evidence", type=Path, required=True, metavar="DIR")
    words = "check a sealed bundle from another machine and copy it into the evidence, or refuse it"
    intake = commands.add_parser("import", help=words, description=words)
    intake.set_defaults(command=_import)
    intake.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder, .tar.gz or .zip")
    intake.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    intake.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="repository root")
    intake.add_argument(
        "--wheel", type=Path, default=None, metavar="FILE", help="the wheel that ran there"
    )
    intake.add_argument(
        "--operator",
        default=os.environ.get("TROCAR_OPERATOR", ""),
        metavar="NAME",
        help="who brings it in; TROCAR_OPERATOR when left out",
    )


def _seal(options: argparse.Namespace) -> int:
    """Seal a folder and print the digest of the seal."""
    digest = seal_folder(options.evidence)
    print(f"sealed {options.evidence}\nsha256 {digest}")
    return EXIT_DONE


def _import(options: argparse.Namespace) -> int:
    """Bring in a bundle, or say why not."""
    request = Request(
        bundle=options.bundle,
        folder=options.output,
        root=options.root,
        operator=options.operator,
        wheel=options.wheel,
    )
    try:
        print("\n".join(import_bundle(request)))
    except EvidenceError as exc:
        print(f"IMPORT REFUSED: {exc}", file=sys.stderr)
        return EXIT_REFUSED
    return EXIT_DONE

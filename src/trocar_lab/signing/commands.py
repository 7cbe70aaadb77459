"""``python -m trocar_lab sign``: new-key, packs, bundle."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from trocar.contracts.errors import TrocarError
from trocar.packs.verify import SHIPPED_TRUST
from trocar.statements.trust import KeyGrade, read_trusted_keys
from trocar_lab.signing.errors import SigningError
from trocar_lab.signing.keys import (
    default_key_path,
    key_id_of,
    open_signing_key,
    write_new_key,
)
from trocar_lab.signing.packs import sign_and_approve, write_bundle

COMMAND: Final = "sign"
"""The word after ``python -m trocar_lab``."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the three commands."""
    commands = parser.add_subparsers(dest="unit", required=True)
    new_key = commands.add_parser("new-key", help="make a private key that only its owner can read")
    new_key.add_argument("-o", "--output", type=Path, help="file; that of the user when left out")
    packs = commands.add_parser("packs", help="sign packs and approve exactly these")
    packs.add_argument("packs", type=Path, nargs="+", metavar="PACK", help="folders of packs")
    packs.add_argument("--trust", type=Path, default=SHIPPED_TRUST, help="trust folder")
    packs.add_argument(
        "--keep-signatures", action="store_true", help="write the list of approved packs only"
    )
    bundle = commands.add_parser("bundle", help="write a signed pack as one file")
    bundle.add_argument("pack", type=Path, metavar="PACK")
    bundle.add_argument("--trust", type=Path, help="trust folder")
    bundle.add_argument("-o", "--output", type=Path, required=True, help="folder")


def run(options: argparse.Namespace) -> int:
    """Run one of them; return the exit code."""
    try:
        return _RUN[options.unit](options)
    except SigningError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    except TrocarError as exc:
        print(exc.diagnostics(), file=sys.stderr)
        return exc.exit_code


def _new_key(options: argparse.Namespace) -> int:
    """Make a key; print its public half, which may be given to everybody."""
    path = options.output or default_key_path(os.environ)
    key = write_new_key(path)
    print(f"written: {path}; keep it, and keep it to yourself", file=sys.stderr)
    print(f"key id {key_id_of(key.public_pem)}; its public half:", file=sys.stderr)
    print(key.public_pem.decode("ascii"), end="")
    return 0


def _packs(options: argparse.Namespace) -> int:
    """Sign, approve, and look at the result as the device would."""
    key = open_signing_key(os.environ)
    trusted = {one.key_id: one for one in read_trusted_keys(options.trust)}
    signer = trusted.get(key_id_of(key.public_pem))
    if signer is None:
        raise SigningError(
            f"expected the public half of the signing key in {options.trust}; put it there first"
        )
    packs = sign_and_approve(
        options.packs, options.trust, key, keep_signatures=options.keep_signatures
    )
    for pack in packs:
        print(f"signed and approved: {pack.manifest.pack_id}, digest {pack.digest}")
    print(f"with key {signer.key_id}")
    if signer.grade is KeyGrade.DEVELOPMENT:
        print("this is a development key: not for use outside development")
    return 0


def _bundle(options: argparse.Namespace) -> int:
    """Write one file."""
    path, pack = write_bundle(options.pack, options.output, options.trust)
    print(f"written: {path}, {pack.manifest.pack_id}, digest {pack.digest}")
    return 0


_RUN: Final = {"new-key": _new_key, "packs": _packs, "bundle": _bundle}

"""OpenSSF model-signing as it is used from Python; importable only in its own environment."""

from __future__ import annotations

from pathlib import Path

from model_signing import hashing, signing, verifying


def is_accepted(pack: Path, public_key: Path, *, ignore_git: bool = False) -> bool:
    """Return whether it calls a pack with ``model.sig`` in it sound.

    Args:
        pack: Folder of the pack.
        public_key: The key that it trusts.
        ignore_git: Look past files that belong to git, as it does by default.
    """
    signature = pack / "model.sig"
    config = verifying.Config().use_elliptic_key_verifier(public_key=public_key)
    config.set_hashing_config(
        hashing.Config().set_ignored_paths(paths=[signature], ignore_git_paths=ignore_git)
    )
    try:
        config.verify(pack, signature)
    except Exception:  # noqa: BLE001 - it refuses with exceptions of many kinds; each of them is a no
        return False
    return True


def sign(pack: Path, private_key: Path, *, ignore_git: bool) -> None:
    """Sign a pack as its command line does with the signature in the pack."""
    signature = pack / "model.sig"
    config = signing.Config().use_elliptic_key_signer(private_key=private_key)
    config.set_hashing_config(
        hashing.Config().set_ignored_paths(paths=[signature], ignore_git_paths=ignore_git)
    )
    config.sign(pack, signature)

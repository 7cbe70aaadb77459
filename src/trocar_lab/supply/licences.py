"""Licence and supplier of a package as its own metadata say, in one spelling."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

__all__ = ["UNKNOWN", "licence_of", "same_licence", "supplier_of"]

UNKNOWN: Final = "unknown"
_LENGTH_MAX: Final = 120
_CLASSIFIER: Final = "License :: "
_SPDX: Final = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache software license 2.0": "Apache-2.0",
    "bsd 2-clause license": "BSD-2-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd-like": "BSD",
    "bsd license": "BSD",
    "freebsd": "BSD-2-Clause",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "new bsd license": "BSD-3-Clause",
    "python software foundation license": "PSF-2.0",
    "the unlicense (unlicense)": "Unlicense",
}
"""What metadata say in words -> identifier of SPDX."""


def licence_of(expression: str, text: str, classifiers: Sequence[str]) -> str:
    """Return the licence that metadata name; ``UNKNOWN`` when they name none.

    Args:
        expression: ``License-Expression``.
        text: ``License``; a whole licence text is no name.
        classifiers: ``Classifier`` lines.
    """
    words = text.strip().removeprefix("OSI Approved :: ")
    words = "" if words.lower() == UNKNOWN else words
    named = [c.rpartition(" :: ")[2] for c in classifiers if c.startswith(_CLASSIFIER)]
    short = words if words and len(words) <= _LENGTH_MAX and "\n" not in words else ""
    parts = [expression.strip() or short] if expression.strip() or short else named
    found = [_SPDX.get(part.lower(), part) for part in parts if part not in {"", "OSI Approved"}]
    return " AND ".join(dict.fromkeys(found)) or UNKNOWN


def same_licence(metadata: str, entry: str) -> bool:
    """Return whether what was reviewed names every licence that metadata name.

    Args:
        metadata: As of ``licence_of``.
        entry: The words of the register, which may say more.
    """
    words = [_SPDX.get(w.lower(), w) for w in re.split(r"[;,]| AND | OR |\(", entry + " ")]
    entry_words = " ".join([entry, *(_SPDX.get(w.strip().lower(), w) for w in words)])
    parts = re.split(r" AND | OR ", metadata.replace("(", "").replace(")", ""))
    return all(part.strip() in entry_words for part in parts)


def supplier_of(*fields: str) -> str:
    """Return who is named as author or maintainer, without addresses; empty when nobody is.

    Args:
        fields: ``Author``, ``Maintainer``, ``Author-email``, ``Maintainer-email``, best first.
    """
    for field in fields:
        plain = re.sub(r"\s*<[^>]*>", "", field).replace('"', "").strip(" ,")
        if plain and not re.fullmatch(r"[^\s@]+@[^\s@]+", plain):
            return re.sub(r"\s+", " ", plain)[:_LENGTH_MAX].strip(" ,")
    return ""

"""Addresses on the network as a user writes them: ``HOST:PORT?name=value&name=value``."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from trocar.contracts.errors import ContractError
from trocar.contracts.limits import ADDRESS_OPTION_COUNT_MAX

__all__ = ["NetworkPlace", "network_place"]

_ADVICE: Final = "type: trocar stream --help"


@dataclass(frozen=True, slots=True)
class NetworkPlace:
    """One place on the network.

    Attributes:
        host: Name or address.
        port: Port, 1 to 65535.
        options: What was asked for besides, in the order of the address.
    """

    host: str
    port: int
    options: tuple[tuple[str, str], ...]

    def option(self, name: str) -> str | None:
        """Return the value of an option that may be given once, or None."""
        values = self.values_of(name)
        if len(values) > 1:
            raise ContractError(f"expected {name} once, got it {len(values)} times", advice=_ADVICE)
        return values[0] if values else None

    def values_of(self, name: str) -> tuple[str, ...]:
        """Return every value of an option."""
        return tuple(value for given, value in self.options if given == name)


# @need-ids: SRS_CLI_008
def network_place(
    text: str, *, known_options: Collection[str], host_default: str | None = None
) -> NetworkPlace:
    """Return the place that an address names; nothing is looked up and nothing is opened.

    Args:
        text: ``HOST:PORT`` with options after a question mark, without the scheme.
        known_options: Names of the options that may be given.
        host_default: Host where the address names only a port; None where it must name one.

    Raises:
        ContractError: Host or port is missing or out of range, an option is unknown, or the text is
            no address.
    """
    try:
        parts = urlsplit(f"//{text.removeprefix('//')}")
        port = parts.port
        options = parse_qsl(
            parts.query,
            strict_parsing=bool(parts.query),
            keep_blank_values=True,
            max_num_fields=ADDRESS_OPTION_COUNT_MAX,
        )
    except ValueError as exc:
        raise _refusal(text, host_default) from exc
    host = parts.hostname
    if port is None and host is not None and host.isdecimal() and host_default is not None:
        port, host = int(host), host_default
    host = host or host_default
    is_plain = not (parts.path or parts.fragment or parts.username or parts.password)
    if host is None or port is None or not 0 < port <= 65_535 or not is_plain:
        raise _refusal(text, host_default)
    for name, value in options:
        if name not in known_options or not value:
            names = ", ".join(sorted(known_options))
            raise ContractError(
                f"expected options of {names} with a value, got {name}={value}", advice=_ADVICE
            )
    return NetworkPlace(host=host, port=port, options=tuple(options))


def _refusal(text: str, host_default: str | None) -> ContractError:
    """Return the one error for what is no address."""
    form = "HOST:PORT" if host_default is None else "PORT or HOST:PORT"
    return ContractError(f"expected {form}, got {text!r}", advice=_ADVICE)

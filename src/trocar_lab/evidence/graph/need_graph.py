"""The frozen graph of needs, read from sphinx-needs' needs.json."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from trocar_lab.evidence.errors import GraphError
from trocar_lab.evidence.graph.metamodel import Metamodel, load_metamodel
from trocar_lab.evidence.graph.needs import Need, collapse


class Graph:
    """Needs by id with their links in both directions; nothing in it changes after it is built."""

    def __init__(self, needs: Iterable[Need], model: Metamodel | None = None) -> None:
        self._model = model or load_metamodel()
        table: dict[str, Need] = {}
        for need in needs:
            if need.need_id in table:
                raise GraphError(
                    f"id {need.need_id} occurs twice: {table[need.need_id].place} and {need.place}"
                )
            table[need.need_id] = need
        self._needs: Mapping[str, Need] = table

    @property
    def model(self) -> Metamodel:
        """Return the metamodel that the graph is judged by."""
        return self._model

    @property
    def needs(self) -> Mapping[str, Need]:
        """Return every need by id."""
        return self._needs

    def live(self, *types: str) -> list[Need]:
        """Return the needs of the given types that are not retired, in order of id.

        Raises:
            GraphError: A type is not in the metamodel; a wrong name would find nothing for ever.
        """
        unknown = sorted(set(types) - set(self._model.type))
        if unknown:
            raise GraphError(f"no need type {', '.join(unknown)} in the metamodel")
        wanted = set(types) or set(self._model.type)
        return sorted(
            (n for n in self._needs.values() if n.need_type in wanted and not n.is_retired),
            key=lambda need: need.need_id,
        )

    def edges(self) -> Iterator[tuple[Need, str, str]]:
        """Yield (source need, link name, target id) for each link of each need."""
        for need in self._needs.values():
            for link, targets in need.links.items():
                for target in targets:
                    yield need, link, target

    @cached_property
    def _incoming(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """Return (target id, link) to the ids of live sources."""
        table: dict[tuple[str, str], list[str]] = {}
        for need, link, target in self.edges():
            if not need.is_retired:
                table.setdefault((target, link), []).append(need.need_id)
        return {key: tuple(sorted(set(ids))) for key, ids in table.items()}

    def sources(self, need_id: str, link: str) -> list[Need]:
        """Return the live needs whose ``link`` points at ``need_id``.

        Raises:
            GraphError: The link is not in the metamodel.
        """
        if link not in self._model.link:
            raise GraphError(f"no link {link!r} in the metamodel")
        return [self._needs[source] for source in self._incoming.get((need_id, link), ())]

    def targets(self, need: Need, link: str) -> list[Need]:
        """Return the needs that ``link`` of ``need`` points at; a dangling id is left to rule G2.

        Raises:
            GraphError: The link is not in the metamodel.
        """
        if link not in self._model.link:
            raise GraphError(f"no link {link!r} in the metamodel")
        return [self._needs[target] for target in need.targets(link) if target in self._needs]

    def ancestors(self, need_id: str) -> dict[str, str]:
        """Return id to fingerprint of what the need rests on: its parents, and theirs."""
        found: dict[str, str] = {}
        waiting = [need_id]
        while waiting:
            need = self._needs.get(waiting.pop())
            if need is None:
                continue
            for link in ("derives", "realises", "reduces"):
                for parent in self.targets(need, link):
                    if parent.need_id not in found and parent.need_id != need_id:
                        found[parent.need_id] = parent.fingerprint
                        waiting.append(parent.need_id)
        return found

    def bound_needs(self, need_ids: Iterable[str]) -> dict[str, str]:
        """Return id to fingerprint of claimed needs, and of what a claimed test case verifies."""
        found: dict[str, str] = {}
        for need_id in sorted(need_ids):
            need = self._needs.get(need_id)
            if need is None:
                continue
            found[need_id] = need.fingerprint
            for link in (
                self._model.type["test_case"].links if need.need_type == "test_case" else ()
            ):
                found.update({
                    target.need_id: target.fingerprint for target in self.targets(need, link)
                })
        return found


def read_graph(path: Path, model: Metamodel | None = None) -> Graph:
    """Return the graph in a needs.json file.

    Raises:
        GraphError: The file is missing, is not a needs.json, or holds a need of an unknown type.
    """
    table = model or load_metamodel()
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        rows = document["versions"][document["current_version"]]["needs"]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise GraphError(f"{path}: not a needs.json of sphinx-needs ({exc!r})") from exc
    return Graph((_need_of_row(row, table) for row in rows.values()), table)


def _need_of_row(row: Mapping[str, Any], model: Metamodel) -> Need:
    """Return the need in one row of needs.json."""
    need_type = str(row.get("type"))
    if need_type not in model.type:
        raise GraphError(
            f"{row.get('id')} has type {need_type!r}, which the metamodel does not know"
        )
    fields = {n: collapse(row[n]) for n in model.field if n != "status" and row.get(n)}
    links = {n: tuple(row[n]) for n in model.link if row.get(n)}
    return Need(
        need_id=row["id"],
        need_type=need_type,
        title=collapse(row["title"]),
        content=collapse(row.get("content") or ""),
        fields=fields,
        links=links,
        status=row.get("status") or "draft",
        place=row.get("docname") or "",
    )

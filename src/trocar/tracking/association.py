"""Which track goes with which detection: the assignment with the largest total gain.

A pair without gain is no pair. What remains is a sparse problem that falls apart into groups of
boxes that can reach each other, mostly of one or two; each group is solved exactly by shortest
augmenting paths.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from trocar.contracts.errors import require
from trocar.contracts.limits import DETECTION_COUNT_MAX

__all__ = ["assign"]


def assign(gains: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Return the pairs with the largest sum of gains.

    Args:
        gains: Gain of each row (track) with each column (detection), all rows of one length, at
            most ``DETECTION_COUNT_MAX`` of both, finite. A gain of 0 or less is no pair.

    Returns:
        (row, column) of each pair, by rising row; no row and no column twice. The sum of their
        gains is the largest that there is; among equal sums the result is always the same one.

    Raises:
        InvariantError: There are more rows or columns than the bound.

    Source:
        Shortest augmenting paths with potentials: Jonker and Volgenant 1987,
        doi 10.1007/BF02278710; the rectangular form as in Crouse 2016,
        doi 10.1109/TAES.2016.140952.
    """
    column_count = len(gains[0]) if gains else 0
    require(
        len(gains) <= DETECTION_COUNT_MAX and column_count <= DETECTION_COUNT_MAX,
        f"expected at most {DETECTION_COUNT_MAX} boxes, got {len(gains)} and {column_count}",
    )
    reachable = [[at for at, gain in enumerate(row) if gain > 0.0] for row in gains]
    wanted = [columns[0] for columns in reachable if len(columns) == 1]
    if len(wanted) == len(set(wanted)) == sum(map(bool, reachable)):
        # The usual case: each track reaches one detection, and no two the same.
        return [(row, columns[0]) for row, columns in enumerate(reachable) if columns]
    pairs: list[tuple[int, int]] = []
    for rows, columns in _groups(reachable, column_count):
        if len(rows) == 1:
            row = rows[0]
            pairs.append((row, max(columns, key=gains[row].__getitem__)))
        elif len(columns) == 1:
            column = columns[0]
            column_gains = {row: gains[row][column] for row in rows}
            pairs.append((max(rows, key=column_gains.__getitem__), column))
        else:
            pairs += _solve(gains, rows, columns)
    pairs.sort()
    return pairs


def _groups(
    reachable: Sequence[Sequence[int]], column_count: int
) -> list[tuple[list[int], list[int]]]:
    """Return the groups of rows and columns that are connected by gains, in a fixed order."""
    groups: list[tuple[list[int], list[int]]] = []
    group_of_column: list[int | None] = [None] * column_count
    for row, columns in enumerate(reachable):
        if not columns:
            continue
        met = sorted({at for c in columns if (at := group_of_column[c]) is not None})
        home = met[0] if met else len(groups)
        if not met:
            groups.append(([], []))
        for other in met[1:]:
            rows_there, columns_there = groups[other]
            groups[home][0].extend(rows_there)
            groups[home][1].extend(columns_there)
            for column in columns_there:
                group_of_column[column] = home
            groups[other] = ([], [])
        groups[home][0].append(row)
        for column in columns:
            if group_of_column[column] is None:
                group_of_column[column] = home
                groups[home][1].append(column)
    return [(sorted(rows), sorted(columns)) for rows, columns in groups if rows]


def _solve(
    gains: Sequence[Sequence[float]], rows: Sequence[int], columns: Sequence[int]
) -> list[tuple[int, int]]:
    """Return the best pairs of one group."""
    is_turned = len(rows) > len(columns)
    if is_turned:
        costs = [[-max(gains[row][column], 0.0) for row in rows] for column in columns]
    else:
        costs = [[-max(gains[row][column], 0.0) for column in columns] for row in rows]
    # A row that gains nothing by its column stands beside it at a cost of 0: it has no pair.
    found = [(at, to) for at, to in enumerate(_shortest_paths(costs)) if costs[at][to] < 0.0]
    if is_turned:
        return [(rows[to], columns[at]) for at, to in found]
    return [(rows[at], columns[to]) for at, to in found]


def _shortest_paths(costs: Sequence[Sequence[float]]) -> list[int]:
    """Return the column of each row in the cheapest assignment; no more rows than columns."""
    prices = _Prices(costs)
    for start in range(len(costs)):
        prices.add(start)
    return prices.column_of


class _Path:
    """Shortest ways from one row to the columns.

    Attributes:
        distance: Length of the way to each column.
        came_from: The row before each column on its way.
        ahead: Columns that were not reached.
        reached: Columns that were, in their order.
    """

    __slots__ = ("ahead", "came_from", "distance", "reached")

    def __init__(self, start: int, column_count: int) -> None:
        self.distance = [math.inf] * column_count
        self.came_from = [start] * column_count
        self.ahead = list(range(column_count))
        self.reached: list[int] = []


class _Prices:
    """Assignment of the rows so far, with the prices that prove it cheapest.

    Attributes:
        column_of: Column of each row, -1 where it has none yet.
    """

    def __init__(self, costs: Sequence[Sequence[float]]) -> None:
        self._costs = costs
        self._row_price = [0.0] * len(costs)
        self._column_price = [0.0] * len(costs[0])
        self._row_of = [-1] * len(costs[0])
        self.column_of = [-1] * len(costs)

    def add(self, start: int) -> None:
        """Give one more row a column, along the shortest path to a column that is free."""
        path = _Path(start, len(self._row_of))
        row, length = start, 0.0
        while row >= 0:
            nearest = self._step(row, length, path)
            length = path.distance[nearest]
            row = self._row_of[nearest]
        self._row_price[start] += length
        for column in path.reached:
            saved = length - path.distance[column]
            # The column at the end of the path is free and saves nothing.
            if self._row_of[column] >= 0:
                self._row_price[self._row_of[column]] += saved
            self._column_price[column] -= saved
        self._turn_over(path.reached[-1], start, path.came_from)

    def _step(self, row: int, length: float, path: _Path) -> int:
        """Shorten the ways by way of one row; return the nearest column that was not reached."""
        row_costs, base = self._costs[row], length - self._row_price[row]
        distance, prices = path.distance, self._column_price
        nearest, shortest = -1, math.inf
        for column in path.ahead:
            way = base + row_costs[column] - prices[column]
            if way < distance[column]:
                distance[column], path.came_from[column] = way, row
            if distance[column] < shortest:
                nearest, shortest = column, distance[column]
        path.ahead.remove(nearest)
        path.reached.append(nearest)
        return nearest

    def _turn_over(self, end: int, start: int, came_from: Sequence[int]) -> None:
        """Give each row on the path the column by which it was left."""
        column, row = end, -1
        while row != start:
            row = came_from[column]
            self._row_of[column] = row
            self.column_of[row], column = column, self.column_of[row]

"""Rule P7: the trend of problem reports, recomputed from their dates."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from trocar_lab.evidence.graph.metamodel import Frozen
from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.project import Project
from trocar_lab.evidence.rules.rule import Tally


class TrendRow(Frozen):
    """One month.

    Attributes:
        month: YYYY-MM.
        opened: Reports made in it.
        closed: Reports closed in it.
        open_at_end: Reports open at its end.
        open_by_criticality: The same by criticality, in the order of the metamodel.
    """

    month: str
    opened: int
    closed: int
    open_at_end: int
    open_by_criticality: Mapping[str, int]


def day_of(need: Need, field: str) -> dt.date | None:
    """Return the day in a field; None when it is empty or no date."""
    try:
        return dt.date.fromisoformat(need.field(field))
    except ValueError:
        return None


def is_closed(need: Need) -> bool:
    """Return whether a problem report is closed."""
    return need.field("anomaly_state") == "closed"


def date_faults(need: Need, *, today: dt.date) -> list[str]:
    """Return what is wrong with the dates of one problem report.

    Args:
        need: The report.
        today: Day of the check.
    """
    reported, closed_on = day_of(need, "reported"), day_of(need, "closed_on")
    faults = []
    if reported is None:
        faults.append(f"reported is no date: {need.field('reported')!r}")
    elif reported > today:
        faults.append(f"reported on {reported}, in the future")
    if is_closed(need) and closed_on is None:
        faults.append(f"closed, but closed_on is no date: {need.field('closed_on')!r}")
    if not is_closed(need) and need.field("closed_on"):
        faults.append("open, but closed_on is written")
    if closed_on is not None and closed_on > today:
        faults.append(f"closed on {closed_on}, in the future")
    if reported is not None and closed_on is not None and closed_on < reported:
        faults.append(f"closed on {closed_on}, before it was reported on {reported}")
    return faults


def trend_can_be_recomputed(project: Project, tally: Tally) -> None:
    """P7: every problem report has the dates that the trend is computed from."""
    for need in project.graph.live("anomaly"):
        tally.check(need.need_id, *date_faults(need, today=project.today))


def trend(project: Project) -> tuple[TrendRow, ...]:
    """Return the months from the first report to the day of the check, oldest first.

    Reports whose dates are at fault (rule P7) are left out.

    Args:
        project: What is judged.
    """
    sound = [
        need for need in project.graph.live("anomaly") if not date_faults(need, today=project.today)
    ]
    spans = [(need, day_of(need, "reported"), day_of(need, "closed_on")) for need in sound]
    dated = [(need, opened, closed) for need, opened, closed in spans if opened is not None]
    if not dated:
        return ()
    rows = []
    for month in _months(min(opened for _, opened, _ in dated), project.today):
        still = [
            need
            for need, opened, closed in dated
            if _month(opened) <= month and (closed is None or _month(closed) > month)
        ]
        rows.append(
            TrendRow(
                month=month,
                opened=sum(_month(opened) == month for _, opened, _ in dated),
                closed=sum(
                    closed is not None and _month(closed) == month for _, _, closed in dated
                ),
                open_at_end=len(still),
                open_by_criticality={
                    name: sum(need.field("criticality") == name for need in still)
                    for name in project.model.vocabulary["criticality"]
                },
            )
        )
    return tuple(rows)


def _month(day: dt.date) -> str:
    """Return the month of a day."""
    return f"{day.year:04}-{day.month:02}"


def _months(first: dt.date, last: dt.date) -> list[str]:
    """Return every month from one day to another."""
    start, end = first.year * 12 + first.month - 1, last.year * 12 + last.month - 1
    return [f"{index // 12:04}-{index % 12 + 1:02}" for index in range(start, end + 1)]

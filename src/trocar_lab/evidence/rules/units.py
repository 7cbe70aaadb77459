"""Which modules a unit owns."""

from __future__ import annotations

from fnmatch import fnmatchcase

from trocar_lab.evidence.graph.metamodel import split_list
from trocar_lab.evidence.graph.needs import Need
from trocar_lab.evidence.project import Project


def owned_modules(project: Project, unit: Need) -> set[str]:
    """Return the modules that a unit owns: that of its symbol, and those that its globs match."""
    module = unit.field("symbol").partition(":")[0]
    known = project.device.known
    owned = {module} if module in known else set()
    for pattern in split_list(unit.field("modules")):
        owned |= {name for name in known if fnmatchcase(name, pattern)}
    return owned


def owners(project: Project) -> dict[str, list[str]]:
    """Return each module of the device to the ids of the units that own it."""
    table: dict[str, list[str]] = {name: [] for name in project.device.modules}
    for unit in project.graph.live("unit"):
        for name in owned_modules(project, unit) & set(table):
            table[name].append(unit.need_id)
    return table


def module_of_path(path: str) -> str:
    """Return the module name of a file under ``src``."""
    return path.removeprefix("src/").removesuffix(".py").replace("/", ".").removesuffix(".__init__")

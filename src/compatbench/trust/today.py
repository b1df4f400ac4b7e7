"""What a suite and its methods are today, by which records are up to date or not."""

from __future__ import annotations

from collections.abc import Hashable

from compatbench.discovery.plugins import Catalogue
from compatbench.plan.cells import declared_methods
from compatbench.plan.selection import select_methods
from compatbench.records.record import CellSpec, MethodInfo
from compatbench.suite.suite import MethodEntry, Suite, available_suites, load_suite


class Today:
    """A suite, None if it no longer exists, and the methods that there are; made once for many records."""

    def __init__(self, suite: Suite | None, catalogue: Catalogue) -> None:
        self.suite, self.catalogue = suite, catalogue
        self._rows: dict[str, list[MethodEntry]] = {}
        self._declared: dict[Hashable, dict[str, MethodInfo]] = {}

    @classmethod
    def of(cls, name: str, catalogue: Catalogue) -> Today:
        """That of a suite that readers have too, by its name."""
        return cls(load_suite(name)[1] if name in available_suites() else None, catalogue)

    def rows(self, method: str) -> list[MethodEntry]:
        """The suite's rows of a method; raises RequestError for a method that there is not."""
        if self.suite is None:
            return []
        if method not in self._rows:
            found = select_methods(self.suite, self.catalogue, (method,))
            self._rows[method] = [row for row in found if row.name == method]
        return self._rows[method]

    def declared(self, spec: CellSpec) -> dict[str, MethodInfo]:
        """What the suite's rows of the method of `spec` declare of themselves for its chain, by their labels."""
        key = spec.method.name, spec.generations
        if self.suite is not None and key not in self._declared:
            found = declared_methods(self.suite, self.rows(spec.method.name), spec, self.catalogue)
            self._declared[key] = {row.label: row for row in found}
        return self._declared.get(key, {})

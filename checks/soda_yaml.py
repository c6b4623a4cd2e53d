"""SodaCL read for Soda by libyaml, as every file of ours is: ruamel's parser in Python is half of what reading costs.

Soda wants ruamel's mappings and lists, since they say on which line and in which column each entry begins; of the
columns nothing is made. Imported with Soda, where a scan begins.
"""

from decimal import Decimal
from inspect import signature
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq
from soda.sodacl.location import Location
from soda.sodacl.metric_check_cfg import MetricCheckCfg
from soda.sodacl.sodacl_parser import SodaCLParser

from lake.marked_yaml import Marked, NotYaml, read_yaml

FIRST_COLUMN = 0

# Soda asks what this takes seventeen times a check, and working it out each time was two fifths of reading checks.
MetricCheckCfg.__init__.__signature__ = signature(MetricCheckCfg.__init__)


class SuiteParser(SodaCLParser):  # type: ignore[misc]  # Soda ships no types
    """Soda's parser of checks, over another parser of YAML."""

    def _parse_yaml_str(self, yaml_str: str) -> Any:
        try:
            found = read_yaml(yaml_str)
        except NotYaml as error:
            place = Location(self.path_stack.file_path, error.line or 1, FIRST_COLUMN)
            self.logs.error("YAML syntax error", location=place, exception=error)
            return None
        told = _told(found, found.value, ())
        self.path_stack.set_antlr_collection_in_file_path_element(told)
        return told


def _told(found: Marked, value: Any, at: tuple[str | int, ...]) -> Any:
    """Gives a value as Soda wants it."""
    if isinstance(value, dict):
        mapping = CommentedMap()
        for key, entry in value.items():
            place = [found.line_at(*at, key) - 1, FIRST_COLUMN]
            mapping[key] = _told(found, entry, (*at, key))
            mapping._yaml_set_kv_line_col(key, [*place, *place])
        return mapping
    if isinstance(value, list):
        entries = CommentedSeq(_told(found, entry, (*at, index)) for index, entry in enumerate(value))
        for index in range(len(value)):
            entries._yaml_set_idx_line_col(index, [found.line_at(*at, index) - 1, FIRST_COLUMN])
        return entries
    return float(value) if isinstance(value, Decimal) else value

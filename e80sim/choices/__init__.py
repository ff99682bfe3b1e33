"""What a user chooses from. The list stands in one table, and whatever else shows it reads the table.

Tables are looked up when a value is validated, not when a class is made: a line more in the table, from
wherever it comes, is a choice more in scenario files, in error messages, in the JSON schema and in the docs.
"""

from e80sim.choices.evidence import CONFIDENCES, Confidence
from e80sim.choices.key_of import KeyOf
from e80sim.choices.later import Later
from e80sim.choices.one_of import OneOf, by_kind, loaded, models_of

__all__ = ["CONFIDENCES", "Confidence", "KeyOf", "Later", "OneOf", "by_kind", "loaded", "models_of"]

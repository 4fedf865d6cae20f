"""Schema: whether a document is shaped as its JSON Schema says, every violation with its place.

The only package that imports jsonschema, which takes long to load: it is asked only about a document that
does not `fit`.
"""

from importlib import import_module

from chargehand.document import Document
from chargehand.errors import Problem
from chargehand.schema.fit import content_of, fits, schema_path

__all__ = ["PROBLEMS_SHOWN", "check", "schema_path"]

PROBLEMS_SHOWN = 100


def check(document: Document, *, schema: str = "job") -> list[Problem]:
    """Find everything in a document that its schema does not allow, in the order of the file."""
    whole = content_of(schema)
    if fits(document.data, whole, whole):
        return []
    found: list[Problem] = import_module("chargehand.schema.violation").violations(
        document, schema, at_most=PROBLEMS_SHOWN
    )
    return found

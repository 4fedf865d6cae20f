"""Ahead of PyYAML: its regular expressions are compiled when they are first used.

They are of its parser in Python and of what scalars of YAML 1.1 mean. Our files are read by its parser in C,
most of them as YAML 1.2, so that a command uses hardly any, and one takes longer than the rest of PyYAML.
"""

import re
import sys
from importlib import import_module
from types import ModuleType

from chargehand.expression import expression

if "yaml" not in sys.modules:
    import_module("base64")  # which it imports, and which is everybody's
    stand_in = ModuleType("re")
    vars(stand_in).update(vars(re), compile=expression)
    sys.modules["re"] = stand_in
    try:
        import_module("yaml")
    finally:
        sys.modules["re"] = re

"""Document: a YAML or JSON file as plain data that remembers where everything stands.

The only package that reads YAML. Two dialects: `YAML_12` for everything of ours, `YAML_11` for Ansible
inventories. Reading executes nothing, follows no reference and takes time and memory in proportion to
the file; what is refused is refused with line and column, all of it at once.
"""

from chargehand.document import ahead
from chargehand.document.dialect import YAML_11, YAML_12, Dialect, Limits
from chargehand.document.document import Document, load, parse
from chargehand.secret import Vaulted

__all__ = ["YAML_11", "YAML_12", "Dialect", "Document", "Limits", "Vaulted", "ahead", "load", "parse"]

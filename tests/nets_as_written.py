"""Small networks the way people write them, one for every construct that real code brings.

`NETS` holds them by name: how to build it, its input shapes, and where simple what it accepts, by reasoning.
"""

from __future__ import annotations

import written_control
import written_heads
import written_joins
import written_state
import written_structure
from written import NETS, Written

FILES = (written_control, written_heads, written_joins, written_state, written_structure)

__all__ = ["FILES", "NETS", "Written"]

"""The incremental compiler: cost follows the change. Pure.

`Engine` says what `allocate`, `compile_program` and `diff` say, and is tested against them.
"""

from intent.compiler.engine.core import Engine, Update
from intent.compiler.engine.inputs import Changes
from intent.compiler.engine.journal import IdChange, SpaceChange, applied

__all__ = ["Changes", "Engine", "IdChange", "SpaceChange", "Update", "applied"]

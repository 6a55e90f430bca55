"""From intents and inventory to one flow program per switch. Pure."""

from intent.compiler.compile import allocate, attachment_key, compile_program
from intent.compiler.delta import Delta, diff
from intent.compiler.ids import IdMap
from intent.compiler.resolve import CompileError
from intent.compiler.spaces import OutOfNumbers

__all__ = [
    "CompileError",
    "Delta",
    "IdMap",
    "OutOfNumbers",
    "allocate",
    "attachment_key",
    "compile_program",
    "diff",
]

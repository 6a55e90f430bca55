"""The two halves of the meaning of the language; `intent.semantics` is their face."""

"""How the command line explains itself: the form of help, mistyped words, the version."""

from __future__ import annotations

import argparse
import os
import re
from typing import NoReturn


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the line breaks of examples, and room for the longest option."""

    def __init__(self, prog: str) -> None:
        columns = os.environ.get("COLUMNS", "")
        width = int(columns) if columns.isdigit() else 100
        super().__init__(prog, max_help_position=28, width=min(max(width, 60), 100))


class Parser(argparse.ArgumentParser):
    """Says which word was meant where one is mistyped."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, and end."""
        found = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        if found:
            from difflib import get_close_matches

            near = get_close_matches(found[1], re.findall(r"'([^']+)'", found[2]), n=1)
            message += f"; did you mean {near[0]!r}?" if near else ""
        super().error(message)


class Version(argparse.Action):
    """Prints the version; looks for it only then, as that takes longer than all the rest of a start."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print it and end."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            found = version("ringfence")
        except PackageNotFoundError:
            found = "(not installed: a source tree)"
        print(f"ringfence {found}")
        parser.exit()

"""The page `docs/cli.md`, generated from the parser."""

from __future__ import annotations

import os

from cli.exits import MEANING
from cli.parser import ENVIRONMENT, build, commands_of

PAGE = """\
# The command line

<!-- Generated: `python -m cli.reference > docs/cli.md`. Do not edit. -->

`ringfence run` is the controller; every other command asks it over REST, so it runs wherever the API can be reached.
Output has colours on a terminal only (`NO_COLOR` turns them off); `--json` prints the controller's answer instead.
Errors and warnings go to standard error, with what to do about them. `ringfence --version` says which version it is.

## Exit codes

Those of `ringfence run` are the controller's own, below. All other commands:

| code | meaning |
|---|---|
{codes}

## Environment

```
{environment}
```

## Commands

{commands}
"""


def page() -> str:
    """Return the whole page as Markdown."""
    codes = "\n".join(f"| {int(code)} | {meaning} |" for code, meaning in MEANING.items())
    environment = ENVIRONMENT.split("\n", 1)[1]
    return PAGE.format(codes=codes, environment=environment, commands=_commands()).rstrip() + "\n"


def _commands() -> str:
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100"  # argparse wraps its usage by it
    try:
        parts = [f"### {name}\n\n```\n{command.format_help()}```\n" for name, _, command in commands_of(build())]
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    return "\n".join(parts)


if __name__ == "__main__":
    print(page(), end="")

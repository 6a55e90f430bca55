"""The page `docs/configuration.md`, generated from the configuration's models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic_core import PydanticUndefined

from ryu_apps.config import MAX_BYTES, SYSTEM_PATH, Config, render_commented
from ryu_apps.config_sections import section_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

PAGE = """\
# Configuration

<!-- Generated: `python -m ryu_apps.config_reference > docs/configuration.md`. Do not edit. -->

The controller reads one YAML file of at most {limit} KiB. It is the first of these that is given:

1. `--config FILE` of `ringfence run`;
2. the environment variable `RINGFENCE_CONFIG`;
3. `{system}`, if it exists;
4. none: the defaults below.

Every key is optional, except inside a section of certificates. An unknown key, a key given twice, a YAML
alias or a wrong value stops the start with an error that names the key and the remedy.
`ringfence run --print-config` writes the effective configuration, with comments, and ends.

## Keys

| key | default | meaning |
|---|---|---|
{rows}

## The defaults as a file

```yaml
{defaults}```
"""


def page() -> str:
    """Return the whole page as Markdown."""
    rows = "\n".join(f"| `{key}` | {default} | {meaning} |" for key, default, meaning in _rows(Config, ""))
    return PAGE.format(limit=MAX_BYTES // 1024, system=SYSTEM_PATH, rows=rows, defaults=render_commented(Config()))


def _rows(section: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, field in section.model_fields.items():
        inner = section_type(field)
        if inner is None or field.default is None:
            yield prefix + name, _default(field), field.description or ""
        if inner is not None:
            yield from _rows(inner, f"{prefix}{name}.")


def _default(field: FieldInfo) -> str:
    value = {} if field.default_factory is dict else field.get_default(call_default_factory=False)
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if value is None:
        return "`null`"
    return f"`[{', '.join(value)}]`" if isinstance(value, tuple) else f"`{value}`"


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - this is the generator's output

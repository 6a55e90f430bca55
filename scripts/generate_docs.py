"""Rewrite the generated pages under docs/: each is what a module prints.

A page is written only when its module succeeded, so a failure leaves the old page.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    "docs/cli.md": "cli.reference",
    "docs/configuration.md": "ryu_apps.config_reference",
    "docs/pipeline.md": "scripts.pipeline_page",
}


def main() -> int:
    """Write every page and say which changed."""
    for name, module in PAGES.items():
        page = ROOT / name
        text = subprocess.run([sys.executable, "-m", module], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
        changed = not page.exists() or page.read_bytes() != text
        if changed:
            page.write_bytes(text)
        print(f"{'wrote' if changed else 'same'}  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

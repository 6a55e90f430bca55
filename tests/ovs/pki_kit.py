"""Keys and certificates for tests: two authorities, `ca` and `stranger`, and whoever `ca` (or `stranger`) signed."""

from __future__ import annotations

import subprocess
from pathlib import Path

_NEW = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def openssl(where: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=where, check=True, capture_output=True)


def make_pki(where: Path, *names: str) -> Path:
    """Make `ca.pem`, `stranger.pem`, and for each name `NAME-key.pem` and `NAME.pem`, signed by `ca`."""
    for authority in ("ca", "stranger"):
        files = ["-keyout", f"{authority}-key.pem", "-out", f"{authority}.pem"]
        openssl(where, "req", "-x509", *_NEW, *files, "-subj", f"/CN={authority}", "-days", "2")
    for name in names:
        sign(where, name)
    return where


def sign(where: Path, name: str, authority: str = "ca", common: str = "", *, also: str = "") -> None:
    """Make a key and a certificate; `common` is the name in it, if it is not that of the files; `also` as `IP:…`."""
    key = ["-keyout", f"{name}-key.pem", "-out", f"{name}.csr"]
    openssl(where, "req", *_NEW, *key, "-subj", f"/CN={common or name}")
    by = ["-CA", f"{authority}.pem", "-CAkey", f"{authority}-key.pem", "-CAcreateserial"]
    more: list[str] = []
    if also:
        (where / f"{name}.ext").write_text(f"subjectAltName={also}\n")
        more = ["-extfile", f"{name}.ext"]
    openssl(where, "x509", "-req", "-in", f"{name}.csr", *by, *more, "-out", f"{name}.pem", "-days", "2")

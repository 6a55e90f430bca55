"""What an import takes out of the networks that earlier ones put it into: worth telling, as nothing else shows it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from intent.schema.documents import Document, EndpointDoc
from intent.schema.problems import Problem

SHOWN = 8
"""Names of one message."""


def moves(puts: Iterable[Document], current: Iterable[Document]) -> Iterator[Problem]:
    """Yield a warning for each network that endpoints leave, and for each that nothing declared is left in.

    Args:
        puts: what the import writes.
        current: every document there is now.
    """
    before = {doc.name: doc for doc in current if isinstance(doc, EndpointDoc)}
    after = before | {doc.name: doc for doc in puts if isinstance(doc, EndpointDoc)}
    left: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, doc in sorted(before.items()):
        if doc.network is not None and doc.network != after[name].network:
            left[doc.network, after[name].network or ""].append(name)
    used = {doc.network for doc in after.values()}
    for (old, new), names in left.items():
        count = "1 endpoint moves" if len(names) == 1 else f"{len(names)} endpoints move"
        shown = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
        message = f"{count} from it to `{new}`: {shown}; who stays there cannot reach who moves"
        yield Problem(f"Network/{old}", message, f"import with network `{old}` to leave them there")
        if old not in used:
            # Whether an earlier import made it is written nowhere, and rows of OVSDB may name it: people decide.
            remedy = "delete it, unless ports name it themselves"
            yield Problem(f"Network/{old}", "no document uses it any more", remedy)

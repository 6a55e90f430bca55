"""What the language has and this version does not enforce yet: refused, never silently ignored.

This is the one place that refuses it. Whoever builds one of these deletes its line.
"""

from __future__ import annotations

from collections.abc import Iterator

from intent.schema.documents import PolicyDoc
from intent.schema.problems import Problem


def unsupported(doc: PolicyDoc) -> Iterator[Problem]:
    """Yield a problem for each part of a policy that this version would not enforce."""
    for field in ("rules", "ingress", "egress"):
        for index, rule in enumerate(getattr(doc, field) or ()):
            if rule.action == "reject":
                place = (field, index, "action")
                yield doc.problem(place, "`reject` is not supported by this version", "use `deny`")
    if doc.mode == "observe":
        yield doc.problem(("mode",), "`observe` is not supported by this version", "use `enforce` or `off`")
    for field in ("expires", "schedule"):
        if getattr(doc, field) is not None:
            message = f"`{field}` is not supported by this version"
            yield doc.problem((field,), message, "leave it out, and delete the policy when its time is over")

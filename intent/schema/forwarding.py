"""Parts of an uplink: what of its addresses stands for which endpoint."""

from typing import Annotated, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from intent.schema.base import Part
from intent.schema.scalars import Address, Reference, refusal
from intent.schema.services import canonical_forwarded

ForwardedService = Annotated[str, Field(max_length=40, examples=["tcp/8443"]), AfterValidator(canonical_forwarded)]


class TargetDoc(Part):
    """Whom a forward leads to: an endpoint by name, or an address."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["endpoint"]}, {"required": ["address"]}]})

    endpoint: Reference | None = None
    """With its first address of the IP version."""
    address: Address | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.endpoint is None) == (self.address is None):
            raise refusal("a target is one endpoint", "give `endpoint` or `address`")
        return self


class ForwardDoc(Part):
    """A port of an address beyond the uplink that stands for an endpoint."""

    address: Address
    service: ForwardedService
    """`tcp/8443`, or a range: `udp/5000-5099`."""
    to: TargetDoc
    to_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """The endpoint's port; omitted: the same. A range keeps its ports."""

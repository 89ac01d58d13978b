"""What is published of events, as a configuration asks for it."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from landslide_scale.errors import InvalidConfigError
from landslide_scale.paths import expanded
from landslide_scale.products.heritage import AGREEMENT, GROWN, Rules
from landslide_scale.rapid.publication.response import Producer
from landslide_scale.strictyaml import Section

CountryCode = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="a code by ISO 3166-1 alpha-3, as NPL")]
Activation = Annotated[str, Field(pattern=r"^EMS[RN]\d{3,4}$", description="an activation's code, as EMSR123")]


def _address(written: str) -> str:
    """An address by http(s) as it is written: a variable's value is put in where it is used, and kept nowhere."""
    try:
        found = expanded(written)
    except InvalidConfigError as error:
        raise PydanticCustomError("place", "{said}", {"said": error.expected}) from None
    if not re.fullmatch(r"https?://(\[[0-9A-Fa-f:.]+\]|[^/?#\s@:\[\]]+)(:\d{1,5})?([/?#]\S*)?", found):
        raise PydanticCustomError("place", "{said}", {"said": "an address by http(s), as https://example.com/hook"})
    return written


HookAddress = Annotated[str, AfterValidator(_address)]


class ProducerConfig(Section):
    """Who publishes.

    Attributes:
        name: Of the organisation, as Items and reports say it; by default nothing is said.
        countries: Codes by ISO 3166-1 alpha-3 of where events are looked for. They are not told from coordinates: Items
            have none by default.
    """

    name: str = ""
    countries: list[CountryCode] = Field(default_factory=list)

    @property
    def told(self) -> Producer:
        """The same as Items take it."""
        return Producer(name=self.name, countries=tuple(self.countries))


class TrackingConfig(Section):
    """By which landslides are known again in the next version.

    Attributes:
        agreement: Share of the smaller of two outlines that both have, from which on they are of the same ground.
        grown: Share of its area beyond which a landslide that has grown is to be looked at again, and is called grown.
    """

    agreement: float = Field(default=AGREEMENT, gt=0, le=1)
    grown: float = Field(default=GROWN, ge=0)

    @property
    def rules(self) -> Rules:
        """The same as products take it."""
        return Rules(agreement=self.agreement, grown=self.grown)


class EmsNamesConfig(Section):
    """Copies of products under the names of Copernicus EMS Rapid Mapping.

    Attributes:
        activation: Code of the activation, as ``EMSR123``.
        area: Number of the area of interest.
    """

    activation: Activation
    area: int = Field(default=1, ge=1, le=99)


class WebhookConfig(Section):
    """An address that is sent the STAC Item of each new version by POST.

    Attributes:
        url: By http or https; ``$NAME`` is a variable of the environment, for what is secret, and is kept nowhere. Of
            the address no more than the server is said.
        attempts: Requests in one cycle, with waits that double from `first_wait_s`.
        first_wait_s: Seconds.
        timeout_s: Seconds within which each is to be answered.
        cycles: In how many cycles it is tried, before a version is given up.
    """

    url: HookAddress
    attempts: int = Field(default=3, ge=1, le=10)
    first_wait_s: float = Field(default=1, ge=0, le=60)
    timeout_s: float = Field(default=10, gt=0, le=120)
    cycles: int = Field(default=20, ge=1)

    @property
    def address(self) -> str:
        """With variables put in."""
        return expanded(self.url)


class CommandConfig(Section):
    """A program of this machine that is given the STAC Item of each new version on its standard input.

    Attributes:
        argv: The program and its arguments; no shell reads them.
        timeout_s: Seconds after which it is ended.
        cycles: In how many cycles it is tried, before a version is given up.
    """

    argv: list[str] = Field(min_length=1)
    timeout_s: float = Field(default=60, gt=0, le=3600)
    cycles: int = Field(default=20, ge=1)


class PublishConfig(Section):
    """What is published of events, and who is told.

    Attributes:
        producer: Who publishes.
        tracking: How landslides are known again.
        ems_names: Copies under other names; by default none.
        webhook: Who is told by HTTP; by default nobody.
        command: What is run; by default nothing.
    """

    producer: ProducerConfig = ProducerConfig()
    tracking: TrackingConfig = TrackingConfig()
    ems_names: EmsNamesConfig | None = None
    webhook: WebhookConfig | None = None
    command: CommandConfig | None = None

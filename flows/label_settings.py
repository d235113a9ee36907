"""What can be set about labels: which ones pictures carry, and what stands in them."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from flows.site_settings import Section
from integrations.errors import Refused
from integrations.labels.aigc import check_value


class C2paSettings(Section):
    """Whose signature pictures carry; see `fengmian labels keygen`."""

    certificate: Path | None = Field(default=None, description="PEM: the signer's certificate, then those up to the root")
    key: Path | None = Field(default=None, description="PEM: the signer's key, PKCS#8, ECDSA P-256")

    @model_validator(mode="after")
    def _complete(self) -> "C2paSettings":
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together: give both or neither")
        return self


class LabelSettings(Section):
    """Labels that say that a machine made the picture."""

    visible: bool = Field(default=True, description="words in a corner, as GB 45438-2025 asks for")
    text: str = Field(default="", description="the words; empty: AI生成, or AI GENERATED for an English article")
    corner: Literal["bottom-right", "bottom-left", "top-right", "top-left"] = "bottom-right"
    colour: str = Field(default="", description="of the words, #RRGGBB; empty: what contrasts most")
    font: Path | None = Field(default=None, description="a font file, for words other than the usual ones")
    implicit: bool = Field(default=True, description="the implicit label of GB 45438-2025, in the file's XMP")
    producer: str = Field(default="", description="the provider's code in it: 27 characters, such as 0011<18 of USCC>10001")
    iptc: bool = Field(default=True, description="IPTC's digital source type, which the EU's and others' rules read")
    c2pa: C2paSettings = C2paSettings()

    @field_validator("producer")
    @classmethod
    def _takes(cls, producer: str) -> str:
        try:
            check_value("ContentProducer", producer)
        except Refused as exc:
            raise ValueError(str(exc)) from None
        return producer

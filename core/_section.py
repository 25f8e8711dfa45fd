"""What every section of the settings is made of."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["Count", "Section", "Seed", "Share", "Text"]

Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class Section(BaseModel):
    """Base of all sections: an unknown key is an error, and a value cannot be changed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _empty_section_is_default(cls, data: Any) -> Any:
        """Read a section whose every line is commented out (null in YAML) as one that was left out."""
        if not isinstance(data, dict):
            return data
        sections = {name for name, field in cls.model_fields.items() if isinstance(field.default, Section)}
        return {key: value for key, value in data.items() if value is not None or key not in sections}

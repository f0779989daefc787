"""The base of everything that is read from a config file."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class FrozenModel(BaseModel):
    """Values that cannot change, named in snake_case here and in camelCase too in files."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        # A value may be a secret: pydantic's own text of an error must not repeat it.
        hide_input_in_errors=True,
        # Errors are located by the canonical names that `config.normalizing` hands over.
        loc_by_alias=False,
    )

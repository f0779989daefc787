"""What one run may choose: every option once, with type, range, default and text.

The fields below are the table. All that offers or checks an option derives from it: the Launchpad
(`orchestration.run_config`), the command line (`commands.run_flags`), the `schedule` and `sensor`
blocks and the JSON Schema (`config.model`), and the tables of the docs (`docs/tables.py`). A new
option is one field here, and the place where it acts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import ConfigDict, Field, create_model

from sync_pipeline.config.frozen import FrozenModel

Publish = Literal["changed", "all", "none"]
LARGEST_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class Traits:
    """What a type cannot say of an option."""

    #: What each word that it takes means, in the order of the type.
    means: tuple[str, ...] = ()
    #: On the command line, where that is not its name with hyphens.
    flag: str | None = None
    #: Default in a `schedule` or `sensor`, where nobody is there to say it.
    unattended: bool | None = None
    #: A run that goes on with the extraction of another may choose it anew.
    is_chosen_anew: bool = False


class FileOptions(FrozenModel):
    """Options for which a config file may state the default of its sync."""

    mode: Annotated[
        Literal["regular", "streaming", "auto"],
        Traits(
            means=(
                "the whole data set, as one batch named `all`",
                "one batch at a time",
                "streaming where the source has more than 5,000 records",
            )
        ),
    ] = "regular"
    """How much is held in memory."""
    batch_size: Annotated[
        Annotated[int, Field(ge=1, le=LARGEST_BATCH)] | Literal["auto"],
        Traits(means=("chosen by the size of the records, the space's speed and free memory",)),
    ] = 1000
    """Records per batch in streaming mode."""
    publish: Annotated[
        Publish,
        Traits(
            means=(
                "the entries that the run writes",
                "also drafts of this content type that others left",
                "nothing, what is written stays a draft",
            )
        ),
    ] = "changed"
    """What is published."""


class RunOptions(FileOptions):
    """Options of one run."""

    # Options of a run that another version began: those that are known count.
    model_config = ConfigDict(extra="ignore")

    apply: Annotated[bool, Traits(unattended=True)] = False
    """Write and publish; otherwise a dry run, which changes nothing and says what would happen."""
    use_file_cache: Annotated[bool, Traits(flag="--use-filecache")] = False
    """Answer source requests from the response cache on disk, else fill it."""
    limit: Annotated[int | None, Field(ge=1)] = None
    """Only the first N records."""
    concurrency: Annotated[int, Field(ge=1, le=32), Traits(is_chosen_anew=True)] = 8
    """Requests in flight against the space."""
    max_failed_entries: Annotated[int, Field(ge=0), Traits(is_chosen_anew=True)] = 0
    """Failed entries tolerated before a batch counts as failed."""
    executor: Annotated[
        Literal["in_process", "multiprocess"],
        Traits(
            means=("all in one process, the quickest", "each step in a process of its own"),
            is_chosen_anew=True,
        ),
    ] = "in_process"
    """Where steps run."""
    log_level: Annotated[
        Literal["debug", "info", "warning"],
        Traits(
            means=("a line per request", "a line per page and per batch", "what needs a look"),
            is_chosen_anew=True,
        ),
    ] = "info"
    """How much the log tells."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option, as those who offer and check it need it."""

    name: str
    text: str
    default: bool | int | str | None
    traits: Traits
    #: What each word that it takes means.
    words: Mapping[str, str]
    #: Lowest number that it takes; None: it takes none.
    low: int | None
    #: Highest number; None: no bound.
    high: int | None

    @property
    def is_switch(self) -> bool:
        """Whether it is true or false."""
        return isinstance(self.default, bool)

    @property
    def is_of_files(self) -> bool:
        """Whether a config file may state the default of its sync."""
        return self.name in FileOptions.model_fields

    @property
    def range(self) -> str:
        """The numbers that it takes, e.g. `1 to 10,000`; "" where it takes none."""
        if self.low is None:
            return ""
        return f"{self.low} or more" if self.high is None else f"{self.low} to {self.high:,}"

    @property
    def allowed(self) -> str:
        """What it takes, in words: `1 to 10,000 or auto`; "" for a switch."""
        words = ", ".join(self.words)
        return f"{self.range} or {words}" if self.range and words else self.range or words

    def takes(self, value: object) -> bool:
        """Whether a value may be chosen."""
        if self.is_switch:
            return isinstance(value, bool)
        if isinstance(value, int) and not isinstance(value, bool):
            is_above = self.low is not None and value >= self.low
            return is_above and (self.high is None or value <= self.high)
        return isinstance(value, str) and value in self.words


def _read_option(name: str, schema: Mapping[str, Any]) -> Option:
    """An option, from its field and from what pydantic makes of the field's type."""
    info = RunOptions.model_fields[name]
    traits = next((item for item in info.metadata if isinstance(item, Traits)), Traits())
    kinds = schema.get("anyOf", [schema])
    words = [
        word
        for kind in kinds
        for word in kind.get("enum", [kind["const"]] if "const" in kind else ())
    ]
    number = next((kind for kind in kinds if kind.get("type") == "integer"), None)
    return Option(
        name=name,
        text=" ".join((info.description or "").split()),
        default=info.default,
        traits=traits,
        words=dict(zip(words, traits.means, strict=True)),
        low=number["minimum"] if number else None,
        high=number.get("maximum") if number else None,
    )


#: Every option of a run, in the order of the table.
OPTIONS: Mapping[str, Option] = {
    name: _read_option(name, schema)
    for name, schema in RunOptions.model_json_schema(by_alias=False)["properties"].items()
}


if TYPE_CHECKING:
    Unattended = FrozenModel
else:

    def _unattended(name: str) -> tuple[Any, Any]:
        """An option as a `schedule` or `sensor` may state it."""
        info = RunOptions.model_fields[name]
        traits = OPTIONS[name].traits
        kind = (info.annotation | None, traits, *info.metadata)
        return Annotated[kind], Field(default=traits.unattended, description=info.description)

    Unattended = create_model(
        "Unattended",
        __base__=FrozenModel,
        __module__=__name__,
        __doc__="Run config of a run that Dagster launches; what is not stated is the file's.",
        **{name: _unattended(name) for name in OPTIONS},
    )


def stated_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """The flat run config of those values that are options and are stated (not None)."""
    return {name: value for name, value in values.items() if name in OPTIONS and value is not None}

"""Puts together the environment that templates are compiled in: filters, tests, globals."""

from __future__ import annotations

from functools import lru_cache

from jinja2.utils import Cycler, Joiner, Namespace

from sync_pipeline.model import EntryLookup
from sync_pipeline.templating.bounds import bounded_dict, measured
from sync_pipeline.templating.cute_functions import build_cute_functions
from sync_pipeline.templating.jinja_filters import build_filters, build_tests, concatenated
from sync_pipeline.templating.lookups import SpaceAnswers
from sync_pipeline.templating.rich_text import RICH_TEXT_FILTERS
from sync_pipeline.templating.sandbox import (
    TemplateEnvironment,
    bounded_range,
    called,
    counted,
)
from sync_pipeline.templating.scriban.data import build_data_functions
from sync_pipeline.templating.scriban.numbers import build_number_functions
from sync_pipeline.templating.scriban.text import build_text_functions
from sync_pipeline.templating.text import EmptyValue, MissingValue, to_text

#: Names of filters that only rewritten templates use; no template can spell them.
CONCATENATE = "~"
COUNT_TURNS = "for"
COUNT_CALL = "macro"
MEASURE = "[]"


def build_environment(
    lookup: EntryLookup | None = None, default_locale: str | None = None
) -> TemplateEnvironment:
    """A new environment; compile any number of templates in it, from any thread.

    Args:
        lookup: What `cute.entries_exist` and its like ask; None: they fail when rendered.
        default_locale: Whose values they compare.
    """
    environment = TemplateEnvironment(
        autoescape=False,
        undefined=MissingValue,
        finalize=to_text,
        keep_trailing_newline=True,
        extensions=["jinja2.ext.loopcontrols", "jinja2.ext.do"],
        cache_size=0,
    )
    environment.filters.clear()
    environment.filters.update(build_filters())
    environment.filters.update(build_cute_functions(SpaceAnswers(lookup, default_locale)))
    environment.filters.update(RICH_TEXT_FILTERS)
    for build in (build_text_functions, build_data_functions, build_number_functions):
        environment.filters.update(build())
    environment.filters.update(
        {CONCATENATE: concatenated, COUNT_TURNS: counted, COUNT_CALL: called, MEASURE: measured}
    )
    environment.tests.clear()
    environment.tests.update(build_tests())
    environment.globals.clear()
    environment.globals |= {
        "range": bounded_range,
        "dict": bounded_dict,
        "namespace": Namespace,
        "cycler": Cycler,
        "joiner": Joiner,
        "null": None,
        "empty": EmptyValue(),
    }
    return environment


@lru_cache(maxsize=1)
def plain_environment() -> TemplateEnvironment:
    """The environment without functions that ask the space."""
    return build_environment()

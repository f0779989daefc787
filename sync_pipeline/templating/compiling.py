"""Compiles a template text into a function that renders it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Template, TemplateError, nodes
from jinja2.runtime import Context

from sync_pipeline.errors import MappingError, RecordError, SyncPipelineError
from sync_pipeline.templating.bounds import MAX_TEXT, begin, template_error
from sync_pipeline.templating.checking import TemplateProblem, parse_checked
from sync_pipeline.templating.environment import plain_environment
from sync_pipeline.templating.sandbox import TemplateEnvironment
from sync_pipeline.templating.text import ConfigVariables

_MESSAGE_LENGTH = 200


def compile_text(
    source: str,
    *,
    names: Collection[str],
    file: Path | str | None = None,
    key: str = "",
    environment: TemplateEnvironment | None = None,
) -> Callable[[Mapping[str, Any]], str]:
    """Compile one template.

    Args:
        source: The template.
        names: Root variables it may use: `config`, `row`, `var`, enumerated content types...
        file: For messages.
        key: For messages: dotted path of the template in the file (`headers.Accept`).
        environment: Where the functions come from; by default one that cannot ask the space.

    Returns:
        A function from the root variables to the text. A root variable that is not passed is
        empty; `config` is a mapping whose unset names are an error when rendered. It raises
        RecordError (`error_id` TemplateError) when the template fails with these values. Safe to
        call from several threads.

    Raises:
        MappingError: The template does not compile, or names a variable, filter, test or function
            that cannot exist; the message names file, key and fix.
    """
    environment = environment or plain_environment()
    try:
        tree = parse_checked(source, environment=environment, names=names)
        template = compile_tree(tree, environment)
    except TemplateProblem as problem:
        raise MappingError(str(problem), file=file, key=key) from problem

    def render(variables: Mapping[str, Any]) -> str:
        return render_text(template, new_context(template, variables))

    return render


def compile_tree(tree: nodes.Template, environment: TemplateEnvironment) -> Template:
    """Compile a tree that `parse_checked` made.

    Raises:
        TemplateProblem: It is nested too deep for Python's compiler, or misuses a statement.
    """
    begin()  # Jinja2 works out while it compiles what depends on no value
    try:
        return environment.from_string(tree)
    except (RecursionError, MemoryError) as err:
        raise TemplateProblem("the template is nested too deep") from err
    except (SyntaxError, TemplateError) as err:
        raise TemplateProblem(f"the template does not compile: {err}") from err


def new_context(template: Template, variables: Mapping[str, Any]) -> Context:
    """A context for one rendering (or several, one after the other) of a compiled template."""
    values = {**template.globals, **variables}
    config = values.get("config")
    if isinstance(config, Mapping) and not isinstance(config, ConfigVariables):
        values["config"] = ConfigVariables(config)
    return Context(template.environment, values, None, {})


def render_text(template: Template, context: Context) -> str:
    """The text of a template with the values of a context.

    Raises:
        RecordError: It cannot be rendered with these values.
        SyncPipelineError: A look-up failed for a reason that no other record would survive.
    """
    begin()
    try:
        return template.environment.concat(template.root_render_func(context))
    except SyncPipelineError:
        raise
    except Exception as err:  # a template can raise anything; this is the boundary
        raise render_error(err) from err


def render_error(err: Exception) -> RecordError:
    """What a template raised, as the error of one record, in one short line."""
    if isinstance(err, RecordError):
        return err
    if isinstance(err, RecursionError):
        return template_error("the template recurses too deep")
    if isinstance(err, MemoryError):
        return template_error(f"the template would build more than {MAX_TEXT:,} characters")
    text = " ".join(str(err).split()) or type(err).__name__
    if len(text) > _MESSAGE_LENGTH:
        text = text[: _MESSAGE_LENGTH - 3] + "..."
    return template_error(text)

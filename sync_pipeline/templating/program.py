"""Many templates compiled into one: a single Python function yields the text of each in turn.

A render call per template costs more than most templates; here a record costs one. Every template
keeps a scope of its own, so a `{% set %}` in one is not seen by the next::

    {{ row.id }}   {{ row.name | upper }}   {% if row.a %}x{% endif %}
          └───────────────┴────────────────────┘
                one generator: yields 3 texts
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import nodes
from jinja2.runtime import Context

from sync_pipeline.errors import RecordError, SyncPipelineError
from sync_pipeline.templating.bounds import begin
from sync_pipeline.templating.compiling import compile_tree, new_context, render_error, render_text
from sync_pipeline.templating.sandbox import TemplateEnvironment

_CAPTURED = "_captured"


class RenderingError(Exception):  # internal: becomes a dead letter with the field
    """Template number `index` of a program failed with one record."""

    def __init__(self, index: int, error: RecordError) -> None:
        self.index = index
        self.error = error
        super().__init__(str(error))


class Program:
    """Templates that are rendered together. Immutable; contexts are the caller's, one a thread."""

    def __init__(self, trees: Sequence[nodes.Template], environment: TemplateEnvironment) -> None:
        """Compile trees that `parse_checked` made.

        Raises:
            TemplateProblem: They are nested too deep.
        """
        self._environment = environment
        self._trees = tuple(trees)
        combined = nodes.Template([_one_chunk(tree) for tree in trees], lineno=1)
        combined.set_environment(environment)
        self._template = compile_tree(combined, environment)
        self._chunks = self._template.root_render_func

    def new_context(self, variables: Mapping[str, Any]) -> Context:
        """A context; change its `parent` between records to render the next one."""
        return new_context(self._template, variables)

    def render(self, context: Context) -> list[str]:
        """The text of every template, in order.

        Raises:
            RenderingError: One of them failed; says which.
            SyncPipelineError: A look-up failed for a reason that no other record would survive.
        """
        begin()
        try:
            return list(self._chunks(context))
        except Exception as err:
            if isinstance(err, SyncPipelineError) and not isinstance(err, RecordError):
                raise
            raise self._blame(context, err) from err

    def _blame(self, context: Context, err: Exception) -> RenderingError:
        """Render one by one to find the template that fails."""
        apart = Context(self._environment, dict(context.parent), None, {})
        for index, tree in enumerate(self._trees):
            try:
                render_text(compile_tree(tree, self._environment), apart)
            except RecordError as found:  # rare: after a failure only
                return RenderingError(index, found)
        return RenderingError(0, render_error(err))


def _one_chunk(tree: nodes.Template) -> nodes.Node:
    """The statement that puts out the whole text of a template as exactly one chunk."""
    if len(tree.body) == 1 and isinstance(tree.body[0], nodes.Output):
        output = tree.body[0]
        if len(output.nodes) == 1:
            return output
    if not tree.body:
        return nodes.Output([nodes.TemplateData("")], lineno=1)
    capture = nodes.AssignBlock(nodes.Name(_CAPTURED, "store"), None, tree.body, lineno=1)
    put_out = nodes.Output([nodes.Name(_CAPTURED, "load")], lineno=1)
    return nodes.Scope([capture, put_out], lineno=1)

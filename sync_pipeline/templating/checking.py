"""From template source to a checked syntax tree.

Everything that can never work is found here, before a record is read: syntax, unknown variables,
filters, tests and functions, and what the sandbox would refuse anyway. The tree that comes out has
been rewritten so that methods, loops and `~` go through the bounded forms of `sandbox`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from inspect import signature

from jinja2 import TemplateSyntaxError, nodes
from jinja2.environment import Environment
from jinja2.meta import find_undeclared_variables
from jinja2.visitor import NodeTransformer

from sync_pipeline.config.environment import (
    OWN_VARIABLES,
    TEMPLATE_PREFIXES,
    is_template_variable,
)
from sync_pipeline.errors import RecordError
from sync_pipeline.suggestions import remark_meant
from sync_pipeline.templating.environment import (
    CONCATENATE,
    COUNT_CALL,
    COUNT_TURNS,
    MEASURE,
)
from sync_pipeline.templating.sandbox import METHODS, TemplateEnvironment
from sync_pipeline.templating.scriban.expressions import ScribanError
from sync_pipeline.templating.scriban.statements import translate
from sync_pipeline.templating.text import read_condition

#: Longest template source, in characters.
MAX_SOURCE = 100_000
#: Names, operators and values in one `{{ }}` or `{% %}`, and in a template. Jinja2's parser and
#: compiler take a time that grows faster than their number.
MAX_TOKENS_OF_TAG = 3_000
MAX_TOKENS = 20_000
_METHOD_NAMES = frozenset().union(*METHODS.values())
_ANY_MEMBERS: Mapping[str, Collection[str]] = {}
_GUARDS = frozenset({"default", "d", "coalesce", "object.default", "defined", "undefined"})
_CHANGING = "a mapping that gives something else in every run would write every entry every time"
_NO_FUNCTIONS = "functions cannot be passed on; use {% for %}, or Jinja2's select and map"
_UNAVAILABLE = {
    "date.now": _CHANGING,
    "math.random": _CHANGING,
    "math.uuid": _CHANGING,
    "random": _CHANGING,
    "array.any": _NO_FUNCTIONS,
    "array.each": _NO_FUNCTIONS,
    "array.filter": _NO_FUNCTIONS,
    "object.eval": "templates do not run templates",
    "object.eval_template": "templates do not run templates",
}
_NO_FILES: dict[type[nodes.Node], str] = {
    nodes.Include: "include", nodes.Import: "import", nodes.FromImport: "from ... import",
    nodes.Extends: "extends", nodes.Block: "block",
}  # fmt: skip


class TemplateProblem(Exception):  # noqa: N818  # internal: becomes a MappingError with file and key
    """Why a source does not compile, with the fix, without file and key."""


def parse_checked(
    source: str,
    *,
    environment: TemplateEnvironment,
    names: Collection[str],
    members: Mapping[str, Collection[str]] = _ANY_MEMBERS,
) -> nodes.Template:
    """The checked and rewritten syntax tree of a template.

    Args:
        source: Jinja2, or Scriban where it can be translated.
        environment: Knows the filters, tests and functions.
        names: The root variables that the template may use.
        members: What `root.NAME` may be, for roots of which all names are known (`var`).

    Raises:
        TemplateProblem: The source does not compile or names what cannot exist.
    """
    if len(source) > MAX_SOURCE:
        raise TemplateProblem(f"the template is longer than {MAX_SOURCE:,} characters")
    try:
        translated = translate(source, filter_namespaces(environment))
        _check_length(translated, environment)
        tree = environment.parse(translated)
        rewritten = _Rewriter(environment, _shadowing(tree, names)).visit(tree)
        _check_roots(rewritten, environment, names)
        _check_members(rewritten, members)
        _check_variables(rewritten)
    except ScribanError as err:
        raise TemplateProblem(str(err)) from err
    except TemplateSyntaxError as err:
        line = f" in line {err.lineno}" if source.count("\n") else ""
        raise TemplateProblem(f"the template does not compile: {err.message}{line}") from err
    except RecursionError as err:
        raise TemplateProblem("the template is nested too deep") from err
    assert isinstance(rewritten, nodes.Template)  # noqa: S101  # for the type checker
    return rewritten


def _check_length(source: str, environment: Environment) -> None:
    of_tag = 0
    for number, (_, kind, _) in enumerate(environment.lex(source)):
        of_tag = 0 if kind.endswith(("_begin", "_end")) else of_tag + 1
        if of_tag > MAX_TOKENS_OF_TAG or number > MAX_TOKENS:
            raise TemplateProblem(
                f"the template has more than {MAX_TOKENS_OF_TAG:,} names, operators and values in "
                f"one expression, or {MAX_TOKENS:,} in all"
            )


def _check_roots(tree: nodes.Template, environment: Environment, names: Collection[str]) -> None:
    namespaces = filter_namespaces(environment)
    known = {*names, *environment.globals, *_set_names(tree)}
    for name in sorted(find_undeclared_variables(tree) - known):
        raise TemplateProblem(
            f'unknown variable "{name}"{remark_meant(name, [*names, *namespaces])}'
        )


def _check_members(tree: nodes.Template, members: Mapping[str, Collection[str]]) -> None:
    for node in tree.find_all(nodes.Getattr):
        if isinstance(node.node, nodes.Name) and node.node.name in members:
            known = members[node.node.name]
            if node.attr not in known:
                name = f"{node.node.name}.{node.attr}"
                raise TemplateProblem(f'unknown variable "{name}"{remark_meant(node.attr, known)}')


def _check_variables(tree: nodes.Template) -> None:
    """Refuse `config.NAME` of a name that no template can see, whatever is set."""
    for name in _used_variables(tree):
        if name in OWN_VARIABLES:
            raise TemplateProblem(f"config.{name} is not for templates: it configures this package")
        if not is_template_variable(name):
            first, second = TEMPLATE_PREFIXES
            raise TemplateProblem(
                f"config.{name} can never be set: templates see only environment variables whose"
                f" names start with {first} or {second}; name it {first}{name}"
            )


def _used_variables(tree: nodes.Template) -> list[str]:
    """The names used as `config.NAME`, unless the template has a variable `config` of its own."""
    if any(node.name == "config" and node.ctx != "load" for node in tree.find_all(nodes.Name)):
        return []
    return sorted(
        {
            node.attr
            for node in tree.find_all(nodes.Getattr)
            if isinstance(node.node, nodes.Name) and node.node.name == "config"
        }
    )


def find_unset_variables(tree: nodes.Template, variables: Collection[str]) -> list[str]:
    """Names used as `config.NAME` that are not set, where the template has no fallback for them."""
    guarded: set[str] = set()
    for node in tree.find_all((nodes.Filter, nodes.Test)):
        if node.name in _GUARDS and isinstance(node.node, nodes.Getattr):
            guarded.add(node.node.attr)
    return [name for name in _used_variables(tree) if name not in {*guarded, *variables}]


def constant_problem(source: str) -> str:
    """Why a condition can never be true nor false, which is told before a record is read; "" if
    it can.
    """
    if re.search(r"\{[{%#]", source):
        return ""
    try:
        read_condition(source)
    except RecordError as err:
        return f"{err}; a condition is a template, in {{{{ }}}}"
    return ""


def uses_filter(tree: nodes.Template, names: Collection[str]) -> bool:
    """Whether a checked tree calls one of these, as a filter or as a function."""
    return any(node.name in names for node in tree.find_all(nodes.Filter))


def find_members(tree: nodes.Template, root: str) -> frozenset[str] | None:
    """The names used as `root.NAME`; None where `root` is also used in another way."""
    uses = sum(node.name == root for node in tree.find_all(nodes.Name))
    names = [
        node.attr
        for node in tree.find_all(nodes.Getattr)
        if isinstance(node.node, nodes.Name) and node.node.name == root
    ]
    return frozenset(names) if uses == len(names) else None


def filter_namespaces(environment: Environment) -> frozenset[str]:
    """`cute`, `string`, `array`...: what stands before the dot of dotted filters."""
    return frozenset(name.split(".", 1)[0] for name in environment.filters if "." in name)


def _set_names(node: nodes.Node) -> Iterator[str]:
    """Variables set outside of loops and macros: maybe in one branch of an `if` only."""
    for child in node.iter_child_nodes():
        if isinstance(child, nodes.Assign | nodes.AssignBlock):
            yield from (name.name for name in child.target.find_all(nodes.Name))
            if isinstance(child.target, nodes.Name):
                yield child.target.name
        elif isinstance(child, nodes.If):
            yield from _set_names(child)


def _shadowing(tree: nodes.Template, names: Collection[str]) -> frozenset[str]:
    """Names that are variables here, so that `{% for date in ... %}{{ date.year }}` works."""
    stored = {node.name for node in tree.find_all(nodes.Name) if node.ctx != "load"}
    return frozenset(stored.union(names)) - {"cute"}


def _measured(node: nodes.Node) -> nodes.Node:
    """The expression, its value measured where a template puts it together from others."""
    assert isinstance(node, nodes.Expr)  # noqa: S101  # for the type checker
    return nodes.Filter(node, MEASURE, [], [], None, None, lineno=node.lineno)


class _Rewriter(NodeTransformer):
    def __init__(self, environment: TemplateEnvironment, shadowing: frozenset[str]) -> None:
        self._environment = environment
        self._namespaces = filter_namespaces(environment) - shadowing

    def generic_visit(self, node: nodes.Node, *args: object, **options: object) -> nodes.Node:
        keyword = _NO_FILES.get(type(node))
        if keyword:
            raise TemplateProblem(f'"{keyword}" is not available: a template stands alone')
        return super().generic_visit(node, *args, **options)

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802
        target = node.node
        if isinstance(target, nodes.Getattr):
            if isinstance(target.node, nodes.Name) and target.node.name in self._namespaces:
                return self._function(node, f"{target.node.name}.{target.attr}")
            self._check_method(target)
            node.node = nodes.Call(
                nodes.EnvironmentAttribute("method_of"),
                [target.node, nodes.Const(target.attr)], [], None, None,
                lineno=node.lineno,
            )  # fmt: skip
        return self.generic_visit(node)

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:  # noqa: N802
        if node.attr.startswith("_"):
            raise TemplateProblem(
                f'".{node.attr}" is refused by the sandbox; a key of that name is'
                f' reachable as ["{node.attr}"]'
            )
        if isinstance(node.node, nodes.Name) and node.node.name in self._namespaces:
            name = f"{node.node.name}.{node.attr}"
            self._check_filter(name)
            raise TemplateProblem(f"{name} is a function: write {name}(value) or value | {name}")
        return self.generic_visit(node)

    def visit_Name(self, node: nodes.Name) -> nodes.Node:  # noqa: N802
        if node.name == "self":
            raise TemplateProblem('"self" is not available: a template stands alone')
        return node

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:  # noqa: N802
        self._check_filter(node.name)
        self._check_arguments(node)
        return _measured(self.generic_visit(node))

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802
        return _measured(self.generic_visit(node))

    visit_Dict = visit_List  # noqa: N815

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802
        visited = self.generic_visit(node)
        return visited if node.ctx == "store" else _measured(visited)

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:  # noqa: N802
        visited = self.generic_visit(node)
        call = nodes.Filter(nodes.Const(None), COUNT_CALL, [], [], None, None, lineno=node.lineno)
        node.body.insert(0, nodes.ExprStmt(call, lineno=node.lineno))
        return visited

    visit_CallBlock = visit_Macro  # noqa: N815

    def visit_Test(self, node: nodes.Test) -> nodes.Node:  # noqa: N802
        if node.name not in self._environment.tests:
            hint = remark_meant(node.name, self._environment.tests)
            raise TemplateProblem(f'unknown test "is {node.name}"{hint}')
        return self.generic_visit(node)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        first, *rest = node.nodes
        joined = nodes.Filter(first, CONCATENATE, rest, [], None, None, lineno=node.lineno)
        return self.generic_visit(joined)

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        node.iter = nodes.Filter(node.iter, COUNT_TURNS, [], [], None, None, lineno=node.lineno)
        return self.generic_visit(node)

    def _function(self, node: nodes.Call, name: str) -> nodes.Node:
        self._check_filter(name)
        if not node.args:
            raise TemplateProblem(f"{name}() needs a value: write {name}(row.x)")
        first, *rest = node.args
        call = nodes.Filter(
            first, name, rest, node.kwargs, node.dyn_args, node.dyn_kwargs, lineno=node.lineno
        )
        self._check_arguments(call)
        return _measured(self.generic_visit(call))

    def _check_filter(self, name: str) -> None:
        if name in _UNAVAILABLE:
            raise TemplateProblem(f'"{name}" is not available: {_UNAVAILABLE[name]}')
        if name not in self._environment.filters:
            what = "function" if "." in name else "filter"
            known = [known for known in self._environment.filters if known[0].isalpha()]
            raise TemplateProblem(f'unknown {what} "{name}"{remark_meant(name, known)}')

    def _check_arguments(self, node: nodes.Filter) -> None:
        """Refuse a call that fails whatever the values are: too few arguments, or too many."""
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            return
        function = self._environment.filters[node.name]
        passed = 1 + hasattr(function, "jinja_pass_arg")
        try:
            found = signature(function)
        except ValueError:  # some built-in functions do not tell theirs
            return
        named = {str(keyword.key): None for keyword in node.kwargs}
        try:
            found.bind(*[None] * (passed + len(node.args)), **named)
        except TypeError as err:
            raise TemplateProblem(f"{node.name}: {err}") from err

    def _check_method(self, target: nodes.Getattr) -> None:
        name = target.attr
        if name in {"format", "format_map"}:
            raise TemplateProblem(f'.{name}() is not available: use the filter "format"')
        if name.startswith("_"):
            raise TemplateProblem(f".{name}() is refused by the sandbox")

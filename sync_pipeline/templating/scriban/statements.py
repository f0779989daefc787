"""Templates of the original, written for Scriban, in Jinja2's spelling.

Only what Jinja2 does not know is touched: `{{ if }}`, `{{ for }}`, `{{ case }}`, `{{ capture }}`,
`{{ end }}`, `{{ x = ... }}`, comments, `~` at the braces, and the expressions of
`expressions`. What has no safe translation is refused with Jinja2's spelling.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from sync_pipeline.templating.scriban.expressions import ScribanError, translate_expression

_RAW = re.compile(r"\{%[-+]?\s*raw\s*[-+]?%\}.*?\{%[-+]?\s*endraw\s*[-+]?%\}", re.DOTALL)
_OPENING = re.compile(r"\{\{|\{%|\{#")
_CODE_PART = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)|(?P<end>[-~]?\}\})|(?P<open>[([{])"""
    r"""|(?P<close>[)\]}])|(?P<other>.)""",
    re.DOTALL,
)
_STATEMENT = re.compile(
    r"(if|else\s+if|else|end|for|case|when|capture|while|func|with|wrap|ret|include|import|readonly"
    r"|tablerow|break|continue)(?![\w.\[|])(.*)",
    re.DOTALL,
)
_ASSIGNMENT = re.compile(r"([^\W\d]\w*)\s*=(?!=)(.*)", re.DOTALL)
_FOR = re.compile(r"\s+([^\W\d]\w*)\s+in\s+(.*)", re.DOTALL)
_FOR_OPTION = re.compile(r"\b(?:limit|offset)\s*:|\breversed\s*$")
_ALONE = frozenset({"else", "end", "break", "continue"})
_REFUSED = {
    "while": "Scriban's `while` is written `{% for i in range(n) %}...{% endfor %}`",
    "func": "Scriban's `func` is written `{% macro name(x) %}...{% endmacro %}`",
    "with": "Scriban's `with` is not available: write members in full (`row.a.b`)",
    "wrap": "Scriban's `wrap` is written `{% call %}...{% endcall %}`",
    "ret": "Scriban's `ret` is not available: a template puts its text out",
    "include": "Scriban's `include` is not available: a template stands alone",
    "import": "Scriban's `import` is not available: a template stands alone",
    "readonly": "Scriban's `readonly` is not available",
    "tablerow": "Scriban's `tablerow` is written `{% for x in xs %}...{% endfor %}`",
}
_CLOSINGS = {"if": "endif", "case": "endif", "for": "endfor", "capture": "endset"}


def translate(source: str, namespaces: Collection[str]) -> str:
    """The template in Jinja2's spelling; a Jinja2 template comes back unchanged.

    Args:
        source: The template.
        namespaces: What stands before the dot of functions: `string`, `cute`...

    Raises:
        ScribanError: Something has no safe translation; the text says how Jinja2 spells it.
    """
    if "{{" not in source:
        return source
    return _Translation(namespaces).run(source)


class _Translation:
    def __init__(self, namespaces: Collection[str]) -> None:
        self._namespaces = namespaces
        self._open: list[tuple[str, str]] = []
        #: Variables set so far, with the number of loops around them.
        self._assigned: dict[str, int] = {}

    def run(self, source: str) -> str:
        out = ""
        strip_next = False
        at = 0
        while at < len(source):
            match = _OPENING.search(source, at)
            text = source[at : match.start() if match else len(source)]
            out += re.sub(r"\A[ \t]*\n?", "", text) if strip_next else text
            strip_next = False
            if match is None:
                break
            at = match.start()
            if match[0] == "{{":
                at, code, opening, closing = _read_code(source, at)
                if code is None:
                    return out + source[match.start() :]  # never closed: Jinja2 says so
                if opening == "~":
                    out = re.sub(r"[ \t]+\Z", "", out)
                    opening = ""
                strip_next = closing == "~"
                out += self._block(code, opening, "" if strip_next else closing)
            else:
                end = _foreign_end(source, at, match[0])
                out += source[at:end]
                at = end
        if self._open:
            word, _ = self._open[-1]
            raise ScribanError(f'"{{{{ {word} }}}}" is never ended: add {{{{ end }}}}')
        return out

    def _block(self, code: str, opening: str, closing: str) -> str:
        pieces = [piece for piece in _statements(code) if piece.strip()]
        if not any(_is_statement(piece) for piece in pieces):
            without_comment = _without_comments(code)
            if not without_comment.strip():
                return "" if not (opening or closing) else f"{{#{opening} {closing}#}}"
            return "{{" + opening + self._expression(without_comment) + closing + "}}"
        out = ""
        for index, piece in enumerate(pieces):
            first = opening if index == 0 else ""
            last = closing if index == len(pieces) - 1 else ""
            if _is_statement(piece):
                out += "{%" + first + self._statement(piece.strip()) + last + "%}"
            else:
                out += "{{" + first + self._expression(f" {piece.strip()} ") + last + "}}"
        return out

    def _expression(self, code: str) -> str:
        return translate_expression(code, self._namespaces)

    def _statement(self, piece: str) -> str:
        match = _STATEMENT.fullmatch(piece)
        if match is None or (match[1] not in _ALONE and not match[2].strip()):
            assignment = _ASSIGNMENT.fullmatch(piece)
            assert assignment is not None  # noqa: S101  # `_is_statement` saw it
            return self._assignment(assignment[1], assignment[2])
        word, rest = " ".join(match[1].split()), match[2]
        if word in _REFUSED:
            raise ScribanError(_REFUSED[word])
        if word == "for":
            return self._for(rest)
        if word == "end":
            return self._end()
        if word in {"if", "case", "capture"}:
            return self._start(word, rest)
        if word == "when":
            return self._when(rest)
        spelled = "elif" if word == "else if" else word
        return f" {spelled}{self._expression(rest) if rest.strip() else ' '}"

    def _start(self, word: str, rest: str) -> str:
        condition = self._expression(rest)
        self._open.append((word, condition.strip()))
        if word == "case":  # what stands before the first `when` is never put out
            return " if false "
        return f" {'set' if word == 'capture' else word}{condition.rstrip()} "

    def _when(self, rest: str) -> str:
        if not self._open or self._open[-1][0] != "case":
            raise ScribanError('"{{ when }}" outside of {{ case }}')
        value = self._open[-1][1]
        cases = [self._expression(case).strip() for case in _alternatives(rest)]
        return " elif " + " or ".join(f"({value}) == ({case})" for case in cases if case) + " "

    def _for(self, rest: str) -> str:
        match = _FOR.fullmatch(rest)
        if match is None:
            raise ScribanError('"{{ for }}" is written {% for x in row.list %}')
        if _FOR_OPTION.search(match[2]):
            raise ScribanError(
                "Scriban's `limit`, `offset` and `reversed` of a loop are written"
                " `{% for x in xs[1:4] %}` and `{% for x in xs | reverse %}`"
            )
        self._open.append(("for", match[1]))
        return f" for {match[1]} in {self._expression(match[2]).strip()} "

    def _end(self) -> str:
        if not self._open:
            raise ScribanError('"{{ end }}" without a statement that it ends')
        word, _ = self._open.pop()
        return f" {_CLOSINGS[word]} "

    def _assignment(self, name: str, expression: str) -> str:
        loops = sum(word == "for" for word, _ in self._open)
        if self._assigned.get(name, loops) < loops:
            raise ScribanError(
                f"`{name}` is set before the loop and again in it, which Jinja2 keeps apart: write"
                f" {{% set ns = namespace({name}=...) %}} before it and"
                f" {{% set ns.{name} = ... %}} in it"
            )
        self._assigned[name] = loops
        return f" set {name} = {self._expression(expression).strip()} "


def _read_code(source: str, start: int) -> tuple[int, str | None, str, str]:
    """Where a `{{` block ends, its code, and the marks at its braces (`-`, `~` or none)."""
    at = start + 2
    opening = source[at] if source[at : at + 1] in {"-", "~"} else ""
    begin = at = at + len(opening)
    depth = 0
    while at < len(source):
        match = _CODE_PART.match(source, at)
        assert match is not None  # noqa: S101  # `other` takes anything
        if match["end"] and depth == 0:
            return match.end(), source[begin:at], opening, match[0][:-2]
        if match["end"] and match[0][0] in "-~":
            at += 1  # a sign before the brackets of a value
            continue
        if match["end"]:
            depth -= 1
            at += 1
            continue
        depth += bool(match["open"]) - bool(match["close"])
        at = match.end()
    return start, None, "", ""


def _foreign_end(source: str, at: int, opening: str) -> int:
    """Where a Jinja2 statement or comment ends; what stands in it is left alone."""
    raw = _RAW.match(source, at)
    if raw:
        return raw.end()
    end = source.find("#}" if opening == "{#" else "%}", at)
    return len(source) if end < 0 else end + 2


def _statements(code: str) -> Iterator[str]:
    """Code split at line ends and semicolons that stand outside of brackets and texts."""
    piece = ""
    depth = 0
    for match in _CODE_PART.finditer(_without_comments(code)):
        depth += bool(match["open"]) - bool(match["close"])
        if match[0] in "\n;" and depth == 0:
            yield piece
            piece = ""
        else:
            piece += match[0]
    yield piece


def _alternatives(code: str) -> Iterator[str]:
    """The values of a `when`, which stand between `,` or `||`."""
    piece = ""
    depth = 0
    for match in _CODE_PART.finditer(code):
        depth += bool(match["open"]) - bool(match["close"])
        if depth == 0 and match[0] in {",", "|"}:
            yield piece  # `||` gives an empty piece as well, which says nothing
            piece = ""
        else:
            piece += match[0]
    yield piece


def _without_comments(code: str) -> str:
    """Code without `# ...` to the end of the line and `## ... ##`."""
    out = ""
    at = 0
    while at < len(code):
        if code.startswith("##", at):
            end = code.find("##", at + 2)
            at = len(code) if end < 0 else end + 2
        elif code[at] == "#":
            end = code.find("\n", at)
            at = len(code) if end < 0 else end
        else:
            match = _CODE_PART.match(code, at)
            assert match is not None  # noqa: S101  # `other` takes anything
            out += match[0]
            at = match.end()
    return out


def _is_statement(piece: str) -> bool:
    stripped = piece.strip()
    match = _STATEMENT.fullmatch(stripped)
    if match is not None:
        is_alone = not match[2].strip()
        word = " ".join(match[1].split())
        # `{{ if }}` alone and `{{ with == 1 }}` are no statements; `{{ else }}` is one.
        if is_alone or not match[2].lstrip().startswith(("==", "!=", ",", ")")):
            return is_alone == (word in _ALONE)
    return _ASSIGNMENT.fullmatch(stripped) is not None

"""Templates: what turns a row, or the environment, into text.

Shared by `extract` (URLs, headers, queries) and `transform` (mappings). Knows nothing of fields,
content types or files::

    source ─► checking (syntax, names, sandbox) ─► compiling ─► a function: variables ─► text
"""

from sync_pipeline.templating.compiling import compile_text
from sync_pipeline.templating.environment import build_environment
from sync_pipeline.templating.text import to_text

__all__ = ["build_environment", "compile_text", "to_text"]

"""Rich text: HTML, Markdown and plain text to documents, and HTML to Markdown.

Knows nothing of templates and fields::

    HTML ─► html ─────────┐              ┌─► shaping ─► document (what may hold what)
                          ├─► blocks ────┤
    Markdown ─► markdown ─┘              └─► markdown_writing ─► Markdown

Blocks are nodes of rich text and a few more (`nodes`) that only Markdown can say. Both ways to a
document go through the same shaping, so that HTML and the Markdown made of it come to one document.
"""

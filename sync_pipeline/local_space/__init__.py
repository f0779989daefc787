"""An embedded space: the entry part of Contentful's Content Management API over SQLite.

It serves to rehearse a sync against a copy of a space, offline and without an account. Nothing in
here knows of sources, mappings or runs; the sync talks to it over HTTP as it talks to Contentful::

    server     launcher ──starts──► process (uvicorn) ──► asgi (rate limit, faults) ──► routes
                                                                                          │
    entities   entries, assets, content types, locales, tags, spaces, bulk actions ◄──────┤
    queries    collections, filters, paths, selection, references ◄───────────────────────┘
    transfer   import and export of whole environments
    checks     definitions, saving, publishing, rich text: rules without a database
    store      SQLite (WAL): tables, records, the index of values, the lagging index
"""

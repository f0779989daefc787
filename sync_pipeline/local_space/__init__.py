"""An embedded space: the entry part of Contentful's Content Management API over SQLite.

It serves to rehearse a sync against a copy of a space, offline and without an account. Nothing in
here knows of sources, mappings or runs; the sync talks to it over HTTP as it talks to Contentful::

    launcher ──starts──► server (uvicorn) ──► asgi ──► routes ──► entries, content_types, locales,
                                               │                  tags, assets, spaces, bulk_actions
                                    rate limit, faults                        │
                                                               checks (save, publish), queries
                                                                              │
    importing, exporting ─────────────────────────────────────────────────► store (SQLite, WAL)
"""

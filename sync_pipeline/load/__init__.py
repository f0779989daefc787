"""The space: reading what is there, deciding what differs, writing and publishing just that.

::

    client ──► model_reader     content type and locales
       │
       ├─────► index            what is there now, on disk: id, key, version, mapped fields
       │         │
       │         ▼
       │       plan ◄── diff    pure: create, patch, unchanged or refused
       │         │
       └─────► upsert ──► publish, with the ledger as memory over kills

Knows nothing of sources, templates or Dagster.
"""

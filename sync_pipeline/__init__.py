"""Keep a Contentful space in step with REST APIs and databases, on Dagster.

The way of the data is the way of the folders: `config` says what a sync is, `extract` reads pages,
`batches` spools
them, `transform` maps records to desired entries, `load` compares and writes, `orchestration` runs
it all on Dagster.
"""

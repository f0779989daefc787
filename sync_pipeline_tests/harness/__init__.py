"""What tests of whole runs share: a source, a space, a project folder, ways to launch and to read.

::

    RowSource (loopback, faults by request) ─► Dagster run ─► TestedSpace (loopback, faults by hook)
                                                 ▲
    Project: config files, DAGSTER_HOME, SYNC_STORAGE_DIR, environment ─┘
"""

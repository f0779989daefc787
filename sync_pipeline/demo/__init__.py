"""What `sync-pipeline demo` syncs: 28,000 real airports, served by a small paginated API."""

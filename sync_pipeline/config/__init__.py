"""What a sync is: YAML files, run options and environment variables as frozen values."""

"""What the API can do with each kind of resource."""

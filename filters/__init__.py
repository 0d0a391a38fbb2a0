"""The built-in filters: one module, one filter; recipes lie in `recipes/`. Loaded by name as `curate.filters.NAME`."""

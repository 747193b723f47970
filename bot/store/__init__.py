"""The only place that knows SQL: the schema, and one module of functions per noun."""

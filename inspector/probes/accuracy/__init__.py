"""Which problems a model solves, with records, intervals and tests."""

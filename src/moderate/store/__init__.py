"""Items, articles, counters and tokens in SQL, and the `Store` of all parts."""

"""Rate limits: readable text in the settings, one decision per request, over any number of processes.

`rates` reads the settings, `spending` decides which budgets a request spends from, and `local` or `moderate.redis`
(imported only where it is used, with its client) count. `local` also goes on while Redis is down.
"""

"""The spam checks, one module for each, and the chain that runs them."""

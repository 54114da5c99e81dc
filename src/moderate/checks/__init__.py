"""The spam checks that need no more than the submission, their order, and the verdict that follows from them."""

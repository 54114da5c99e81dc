"""The Tsukimori Times: a small news site that takes comments and trackbacks."""

"""What the three acts (`moderate.desk`, `moderate.moderation`, `moderate.recheck`) call on: a story each."""

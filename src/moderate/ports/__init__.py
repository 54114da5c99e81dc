"""What the acts ask of the world outside. Each promise stands here once; adapters say "see the port"."""

from moderate.ports.limits import Bucket, BucketState, Limiter, Rate, RemoteLimiter, Taken
from moderate.ports.outside import (
    Articles,
    Clock,
    Fetched,
    Fetcher,
    Rule,
    Rules,
    SpamService,
    Tables,
    TokenCounts,
    TokenTable,
)
from moderate.ports.store import Earlier, Store
from moderate.ports.stored import (
    Content,
    Decided,
    Drift,
    ItemFilter,
    NewTask,
    Overrides,
    Page,
    Recorded,
    Sample,
    Settled,
    TokenInfo,
)
from moderate.spam import SpamAnswer, SpamSample, SpamUsage

__all__ = [
    "Articles", "Bucket", "BucketState", "Clock", "Content", "Decided", "Drift", "Earlier", "Fetched", "Fetcher",
    "ItemFilter", "Limiter", "NewTask", "Overrides", "Page", "Rate", "Recorded", "RemoteLimiter", "Rule", "Rules", "Sample", "Settled",
    "SpamAnswer", "SpamSample", "SpamService", "SpamUsage", "Store", "Tables", "Taken", "TokenCounts", "TokenInfo",
    "TokenTable",
]  # fmt: skip

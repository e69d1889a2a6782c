"""Operations on a deployment: verify, registry, batches, drift, backfill, cost, load."""

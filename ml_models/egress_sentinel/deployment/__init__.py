"""What a person does with a deployment: verify, registry, batches, drift, backfill, cost, load."""

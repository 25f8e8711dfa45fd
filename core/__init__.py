"""The engine every task shares: records, the packs' contract, datasets, tuning, generation, registry."""

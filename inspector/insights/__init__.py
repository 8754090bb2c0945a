"""What a study says: chance levels of pairs, lineage, sensitivity, nearest adapters, findings in sentences."""

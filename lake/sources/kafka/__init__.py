"""A topic of Kafka as a source: messages from the offsets that the lake holds, in batches of bounded size."""

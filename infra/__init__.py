"""What motcua runs on: a real Kafka and a real ClickHouse, without containers (`local`) or with them."""

"""Ways in: event logs, seeded worlds and the portal's own calls become messages on Kafka."""

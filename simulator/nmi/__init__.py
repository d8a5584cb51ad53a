"""What would NMI answer? Its transact and query interfaces, webhooks, batches and dashboard; knows no other gateway."""
